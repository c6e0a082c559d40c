//! The fields of a protobuf message as they stand on the wire. It does not know what they mean.

use super::ProtobufError;

/// The value of a field on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'b> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'b [u8]),
}

/// The fields of a message, in the order of the wire.
pub(super) struct Fields<'b, 'p> {
    pub(super) rest: &'b [u8],
    place: &'p str,
}

impl<'b, 'p> Fields<'b, 'p> {
    pub(super) fn of(bytes: &'b [u8], place: &'p str) -> Fields<'b, 'p> {
        Fields { rest: bytes, place }
    }

    pub(super) fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.rest.split_first() else {
                return Err(malformed(self.place, "it ends within a number"));
            };
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed(self.place, "a number is longer than 64 bits"))
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], ProtobufError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(malformed(self.place, "it ends within a field"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Wire<'b>), ProtobufError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 {
            return Err(malformed(self.place, "a field has no number"));
        }
        let fixed = "a field of fixed length has that length";
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.take(8)?.try_into().expect(fixed)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(self.take(4)?.try_into().expect(fixed)),
            _ => return Err(malformed(self.place, "a field has an unknown wire type")),
        };
        Ok((number, wire))
    }
}

impl<'b> Iterator for Fields<'b, '_> {
    type Item = Result<(u32, Wire<'b>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Returns the error about the message of a type.
pub(super) fn malformed(place: &str, what: &'static str) -> ProtobufError {
    ProtobufError::Malformed {
        place: place.to_owned(),
        what,
    }
}

/// Returns a string of a message.
pub(super) fn text(bytes: &[u8], place: &str) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| malformed(place, "a string is not UTF-8"))
}
