//! Python's pickles, read as data and never executed: what CIFAR's batches hold, a dictionary of lists, text and one
//! NumPy array.
//!
//! Read here rather than by a crate: serde-pickle, which is the one in use, gives up on NumPy's arrays, whose pickles name
//! functions that make them. <https://docs.python.org/3/library/pickletools.html> lists the operations.

use std::collections::HashMap;

/// A value that a pickle made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// None, a truth value or a float, of which none is of use here.
    Other,
    Int(i64),
    /// Python 2's text, or bytes.
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What Python would look up: a module's name and one in it.
    Global(&'a str, &'a str),
    /// What a function would make of its arguments, and what it is told afterwards.
    Made {
        function: Id,
        arguments: Id,
        state: Option<Id>,
    },
}

/// Which value of a pickle; values can hold each other, and themselves.
pub(super) type Id = usize;

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle of protocol 2 to 5.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut machine = Machine {
            rest: bytes,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        if bytes.first() != Some(&0x80) {
            return Err("it does not begin as one");
        }
        while machine.step()? {}
        let root = machine.pop()?;
        Ok(Self { values: machine.values, root })
    }

    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        // Ids are places of values alone.
        self.values.get(id).unwrap_or(&Value::Other)
    }

    /// What the dictionary at the root has under a key.
    pub(super) fn get(&self, key: &str) -> Option<Id> {
        let Value::Dict(pairs) = self.value(self.root) else { return None };
        let is = |id: Id| match self.value(id) {
            Value::Bytes(bytes) => *bytes == key.as_bytes(),
            Value::Text(text) => *text == key,
            _ => false,
        };
        pairs.iter().find(|(name, _)| is(*name)).map(|(_, value)| *value)
    }

    /// The items of a list or tuple.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A text, of Python 2 or 3.
    pub(super) fn text(&self, id: Id) -> Option<String> {
        match self.value(id) {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::Text(text) => Some((*text).to_owned()),
            _ => None,
        }
    }

    /// The shape and the bytes of a NumPy array of unsigned bytes.
    pub(super) fn array(&self, id: Id) -> Option<(Vec<usize>, Vec<u8>)> {
        let Value::Made { state: Some(state), .. } = self.value(id) else { return None };
        // Version, shape, type, whether the first axis is the fastest, and the elements.
        let [_, shape, kind, _, data] = *self.items(*state)? else { return None };
        let Value::Made { arguments, .. } = self.value(kind) else { return None };
        (self.text(*self.items(*arguments)?.first()?)? == "u1").then_some(())?;
        let side = |id: &Id| match self.value(*id) {
            Value::Int(side) => usize::try_from(*side).ok(),
            _ => None,
        };
        let shape = self.items(shape)?.iter().map(side).collect::<Option<Vec<_>>>()?;
        let bytes = self.bytes(data)?;
        let length = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side))?;
        (length == bytes.len()).then_some((shape, bytes))
    }

    /// Bytes, or the text of Latin-1 that Python 3 writes for them in old protocols.
    fn bytes(&self, id: Id) -> Option<Vec<u8>> {
        match self.value(id) {
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            Value::Made { function, arguments, .. }
                if *self.value(*function) == Value::Global("_codecs", "encode") =>
            {
                let Value::Text(text) = self.value(*self.items(*arguments)?.first()?) else {
                    return None;
                };
                text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
            }
            _ => None,
        }
    }
}

/// Python's machine of a stack and a memory.
struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Lengths of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

const SHORT: &str = "it ends early";
const STACK: &str = "its operations do not fit together";

impl<'a> Machine<'a> {
    /// Takes one operation; whether there are more.
    fn step(&mut self) -> Result<bool, &'static str> {
        match self.take(1)?[0] {
            // Protocol, and frames, whose ends mean nothing here.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let bytes = self.take(4)?.try_into().map_err(|_| SHORT)?;
                self.push(Value::Int(i32::from_le_bytes(bytes).into()));
            }
            0x8a => {
                let length = self.number(1)?;
                let bytes = self.take(length)?;
                let mut padded =
                    [if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 }; 8];
                let target = padded.get_mut(..bytes.len()).ok_or("it has a huge integer")?;
                target.copy_from_slice(bytes);
                self.push(Value::Int(i64::from_le_bytes(padded)));
            }
            // Python 2's text, and bytes.
            b'U' | b'C' => self.string(1, false)?,
            b'T' | b'B' => self.string(4, false)?,
            0x8e => self.string(8, false)?,
            0x8c => self.string(1, true)?,
            b'X' => self.string(4, true)?,
            0x8d => self.string(8, true)?,
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => {
                let items = self.marked()?;
                self.push(Value::Tuple(items));
            }
            code @ 0x85..=0x87 => {
                let start = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(STACK)?;
                let items = self.stack.split_off(start);
                self.push(Value::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.insert(items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.values.get(id) {
                    Some(Value::Text(text)) => Ok(*text),
                    _ => Err(STACK),
                };
                let global = Value::Global(text(module)?, text(name)?);
                self.push(global);
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(Value::Made { function, arguments, state: None });
            }
            b'b' => {
                let told = self.pop()?;
                let made = *self.stack.last().ok_or(STACK)?;
                if let Some(Value::Made { state, .. }) = self.values.get_mut(made) {
                    *state = Some(told);
                }
            }
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => {
                let (place, top) = (self.memo.len() as u64, *self.stack.last().ok_or(STACK)?);
                self.memo.insert(place, top);
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            _ => return Err("it has an operation that no batch has"),
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A length or place of so many bytes, the lowest first.
    fn number(&mut self, bytes: usize) -> Result<usize, &'static str> {
        let taken = self.take(bytes)?;
        let number = taken.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        usize::try_from(number).map_err(|_| SHORT)
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, &'static str> {
        // What lies below a mark is not this operation's.
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err(STACK);
        }
        self.stack.pop().ok_or(STACK)
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Id>, &'static str> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or(STACK)?;
        Ok(self.stack.split_off(mark))
    }

    fn integer(&mut self, bytes: usize) -> Result<(), &'static str> {
        let number = self.number(bytes)? as i64;
        self.push(Value::Int(number));
        Ok(())
    }

    fn string(&mut self, length_bytes: usize, text: bool) -> Result<(), &'static str> {
        let length = self.number(length_bytes)?;
        let bytes = self.take(length)?;
        let value = match text {
            true => Value::Text(std::str::from_utf8(bytes).map_err(|_| "its text is not UTF-8")?),
            false => Value::Bytes(bytes),
        };
        self.push(value);
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, &'static str> {
        let length = self.rest.iter().position(|byte| *byte == b'\n').ok_or(SHORT)?;
        let line = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "its text is not UTF-8")
    }

    fn append(&mut self, new: Vec<Id>) -> Result<(), &'static str> {
        let list = *self.stack.last().ok_or(STACK)?;
        match self.values.get_mut(list) {
            Some(Value::List(items)) => items.extend(new),
            _ => return Err(STACK),
        }
        Ok(())
    }

    fn insert(&mut self, new: Vec<Id>) -> Result<(), &'static str> {
        let dict = *self.stack.last().ok_or(STACK)?;
        match self.values.get_mut(dict) {
            Some(Value::Dict(pairs)) => {
                pairs.extend(new.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err(STACK),
        }
        Ok(())
    }

    fn remember(&mut self, bytes: usize) -> Result<(), &'static str> {
        let place = self.number(bytes)? as u64;
        let top = *self.stack.last().ok_or(STACK)?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), &'static str> {
        let place = self.number(bytes)? as u64;
        let id = *self.memo.get(&place).ok_or(STACK)?;
        self.stack.push(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_nothing_else() {
        // {"a": [1, -2, 300], b"b": ("x",)} as protocols 2 and 4 write it.
        let old = b"\x80\x02}q\x00(U\x01aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01eX\x01\x00\x00\x00bU\x01x\x85u.";
        let new = b"\x80\x04\x95\x26\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01\x8a\x01\xfeM,\x01eC\x01b\x8c\x01x\x85u.";
        for bytes in [&old[..], new] {
            let pickle = Pickle::read(bytes).unwrap();
            let items = pickle.items(pickle.get("a").unwrap()).unwrap();
            let numbers: Vec<_> = items.iter().map(|id| pickle.value(*id).clone()).collect();
            assert_eq!(numbers, [Value::Int(1), Value::Int(-2), Value::Int(300)]);
            let tuple = pickle.items(pickle.get("b").unwrap()).unwrap();
            assert_eq!(pickle.text(tuple[0]).unwrap(), "x");
            assert_eq!(pickle.get("c"), None);
            for end in 0..bytes.len() {
                assert!(Pickle::read(&bytes[..end]).is_err(), "{end}");
            }
        }
        assert_eq!(
            Pickle::read(b"\x80\x02P1\n.").unwrap_err(),
            "it has an operation that no batch has"
        );
    }
}
