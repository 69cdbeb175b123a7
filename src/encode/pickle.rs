//! `pytorch_model.bin`: tensors of a PyTorch archive.
//!
//! The archive is a ZIP file: `…/data.pkl` describes the tensors, `…/data/KEY` hold their
//! numbers. candle runs the pickle program; its objects are read here rather than by
//! candle's `PthTensors`, which indexes into tuples without looking at their length, prints
//! what it skips, and checks no checksum of the description. Nothing a pickle names is run.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use candle_core::pickle::{Object, Stack};
use candle_core::{DType, Device, Tensor};
use zip::ZipArchive;

use crate::error::{Error, Place, Result, foreign};

/// The tensors of one archive, read on demand.
pub(super) struct Pickle {
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
}

/// Where a tensor's numbers are.
#[derive(Debug, Clone)]
struct Entry {
    /// None if its numbers are no floats.
    dtype: Option<DType>,
    /// What PyTorch calls the storage, such as FloatStorage.
    storage: String,
    shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    strides: Vec<usize>,
    /// Elements before the first.
    offset: usize,
    /// Member of the archive.
    member: String,
}

impl Pickle {
    /// Reads the description in the archive `bytes` of `path`.
    pub fn new(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let bad = |found: &str, hint: &str| {
            let problem = format!("expected a PyTorch archive, found {found}");
            Error::data(path, Place::File, problem).hint(hint)
        };
        let again = "fetch the file again: it may be truncated";
        if bytes.starts_with(&[0x80, 0x02]) {
            let hint = "load it in PyTorch and save it again, best as safetensors";
            return Err(bad("the format from before PyTorch 1.6", hint));
        }
        let entries = describe(&bytes).map_err(|found| bad(&found, again))?;
        if entries.values().all(|entry| entry.dtype.is_none()) {
            return Err(bad("no tensor of floats in it", "it must hold a model's state dict"));
        }
        Ok(Pickle { bytes, entries })
    }

    /// Names of the tensors, those without floats included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Shape of the tensor `name`.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|e| e.shape.clone())
    }

    /// The storage type of a tensor whose numbers are no floats.
    pub fn not_floats(&self, name: &str) -> Option<&str> {
        let entry = self.entries.get(name).filter(|e| e.dtype.is_none())?;
        Some(&entry.storage)
    }

    /// The tensor `name`, as stored.
    pub fn load(&self, name: &str, device: &Device) -> candle_core::Result<Tensor> {
        let load = || {
            let entry = self.entries.get(name).ok_or("no such tensor")?;
            let dtype = entry.dtype.ok_or_else(|| format!("numbers in a {}", entry.storage))?;
            let stored = member(&mut archive(&self.bytes)?, &entry.member)?;
            let values = entry.gather(&stored, dtype.size_in_bytes())?;
            Tensor::from_raw_buffer(&values, dtype, &entry.shape, device).map_err(|e| e.to_string())
        };
        load().map_err(|e: String| candle_core::Error::Msg(e))
    }
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;
type Described<T> = std::result::Result<T, String>;

fn archive(bytes: &[u8]) -> Described<Archive<'_>> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())
}

/// All bytes of a member, its checksum checked.
fn member(archive: &mut Archive<'_>, name: &str) -> Described<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = archive.by_name(name).map_err(|e| format!("{name}: {e}"))?;
    reader.read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    Ok(bytes)
}

fn describe(bytes: &[u8]) -> Described<BTreeMap<String, Entry>> {
    let mut archive = archive(bytes)?;
    let mut names = archive.file_names().flatten();
    let description = names.find(|n| n.ends_with("/data.pkl")).map(String::from);
    drop(names);
    let description = description.ok_or("a ZIP file without data.pkl")?;
    let root = description.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let program = member(&mut archive, &description)?;
    let mut stack = Stack::empty();
    let object = stack
        .read_loop(&mut program.as_slice())
        .and_then(|()| stack.finalize())
        .map_err(|e| format!("data.pkl that does not parse: {}", foreign(e)))?;
    let Object::Dict(pairs) = object else {
        return Err("data.pkl that describes no state dict".into());
    };
    let tensor = |(name, value)| match name {
        Object::Unicode(name) => Some((name, Entry::read(&value, &root)?)),
        _ => None,
    };
    Ok(pairs.into_iter().filter_map(tensor).collect())
}

impl Entry {
    /// Nothing if `object` is not a tensor.
    fn read(object: &Object, root: &str) -> Option<Self> {
        let Object::Reduce { callable, args } = object else { return None };
        let (Object::Class { module_name, class_name }, Object::Tuple(args)) =
            (&**callable, &**args)
        else {
            return None;
        };
        match (module_name.as_str(), class_name.as_str()) {
            // (tensor, requires_grad, hooks)
            ("torch._utils", "_rebuild_parameter") => return Entry::read(args.first()?, root),
            // (storage, offset, size, stride, …)
            ("torch._utils", "_rebuild_tensor_v2") => (),
            _ => return None,
        }
        let [storage, offset, size, stride, ..] = args.as_slice() else { return None };
        let Object::PersistentLoad(storage) = storage else { return None };
        let Object::Tuple(storage) = &**storage else { return None };
        // ("storage", class, key, device, elements)
        let [_, Object::Class { class_name, .. }, Object::Unicode(key), ..] = storage.as_slice()
        else {
            return None;
        };
        let dtype = match class_name.as_str() {
            "FloatStorage" => Some(DType::F32),
            "DoubleStorage" => Some(DType::F64),
            "HalfStorage" => Some(DType::F16),
            "BFloat16Storage" => Some(DType::BF16),
            _ => None,
        };
        let (shape, strides) = (sizes(size)?, sizes(stride)?);
        let entry = Entry {
            dtype,
            storage: class_name.clone(),
            offset: integer(offset)?,
            member: format!("{root}data/{key}"),
            shape,
            strides,
        };
        (entry.shape.len() == entry.strides.len()).then_some(entry)
    }

    /// The tensor's bytes in row-major order, out of its storage; `width` is a number's.
    fn gather(&self, stored: &[u8], width: usize) -> Described<Vec<u8>> {
        let count = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let steps = self.shape.iter().zip(&self.strides);
        let last = steps.clone().try_fold(self.offset, |at, (&d, &s)| {
            at.checked_add(s.checked_mul(d.saturating_sub(1))?)
        });
        let (Some(count), Some(last)) = (count, last) else {
            return Err("sizes that overflow".into());
        };
        if count == 0 {
            return Ok(Vec::new());
        }
        let available = stored.len() / width;
        // The second: strides of 0 could repeat a few stored numbers without end.
        if last >= available || count > available {
            return Err(format!("{available} stored numbers, too few for shape {:?}", self.shape));
        }
        let mut row_major = 1;
        let contiguous = self.shape.iter().zip(&self.strides).rev().all(|(&d, &s)| {
            let expected = row_major;
            row_major *= d;
            d == 1 || s == expected
        });
        if contiguous {
            return Ok(stored[self.offset * width..(self.offset + count) * width].to_vec());
        }
        let mut out = Vec::with_capacity(count * width);
        for index in 0..count {
            let (mut rest, mut at) = (index, self.offset);
            for (&d, &s) in self.shape.iter().zip(&self.strides).rev() {
                at += rest % d * s;
                rest /= d;
            }
            out.extend_from_slice(&stored[at * width..(at + 1) * width]);
        }
        Ok(out)
    }
}

fn integer(object: &Object) -> Option<usize> {
    match *object {
        Object::Int(n) => usize::try_from(n).ok(),
        Object::Long(n) => usize::try_from(n).ok(),
        _ => None,
    }
}

fn sizes(object: &Object) -> Option<Vec<usize>> {
    match object {
        Object::Tuple(values) => values.iter().map(integer).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PyTorch wrote for {"a": [[1, 2, 3], [4, 5, 6]], "t": a.T, "v": a[1, 1:],
    /// "n": int64, "h": half, "p": Parameter}; see `tools/fidelity/families.py`.
    fn sample() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/goldens/views.bin")).unwrap()
    }

    fn open(bytes: Vec<u8>) -> Result<Pickle> {
        Pickle::new(Path::new("views.bin"), bytes)
    }

    #[test]
    fn views_of_shared_storage_come_out_as_pytorch_sees_them() {
        let pickle = open(sample()).unwrap();
        assert_eq!(pickle.names().collect::<Vec<_>>(), ["a", "h", "n", "p", "t", "v"]);
        assert_eq!((pickle.not_floats("n"), pickle.not_floats("a")), (Some("LongStorage"), None));
        let load = |name: &str| {
            let tensor = pickle.load(name, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
            assert_eq!(tensor.dims(), pickle.shape(name).unwrap());
            tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(load("a"), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(load("t"), [1., 4., 2., 5., 3., 6.]);
        assert_eq!(load("v"), [5., 6.]);
        assert_eq!(load("h"), [0.5, -2.0]);
        assert_eq!(load("p"), [7.0]);
        assert_eq!(pickle.shape("t"), Some(vec![3, 2]));
        assert!(pickle.load("n", &Device::Cpu).is_err());
    }

    #[test]
    fn damage_is_an_error_or_changes_nothing() {
        let whole = sample();
        let names = open(whole.clone()).unwrap().names().map(str::to_owned).collect::<Vec<_>>();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let Ok(pickle) = open(bytes) else { continue };
            for name in &names {
                if let Ok(tensor) = pickle.load(name, &Device::Cpu) {
                    let good = open(whole.clone()).unwrap().load(name, &Device::Cpu).unwrap();
                    let bytes = |t: &Tensor| t.to_dtype(DType::F32).unwrap().to_string();
                    assert_eq!(bytes(&tensor), bytes(&good), "{name}, byte {at}");
                }
            }
        }
        for cut in [0, 1, 2, whole.len() / 2, whole.len() - 1] {
            let e = open(whole[..cut].to_vec()).err().unwrap().to_string();
            assert!(e.contains("views.bin: expected a PyTorch archive, found "), "{e}");
        }
    }

    #[test]
    fn the_old_format_is_told_from_damage() {
        let e = open(vec![0x80, 0x02, 0x8a, 0x0a]).err().unwrap().to_string();
        assert!(e.contains("the format from before PyTorch 1.6; load it in PyTorch"), "{e}");
    }
}
