//! From vectors to one index file: spool, order, invert, pack, write.
