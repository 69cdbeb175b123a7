//! Document orders: input order, recursive graph bisection, from a file.
