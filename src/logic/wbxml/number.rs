//! mb_u_int32: seven bits a byte, most significant first, the top bit says that more follow.

/// A number on its way in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Number {
    value: u32,
    bytes: u8,
}

/// The number cannot be one: six bytes, or more than 32 bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Number {
    /// Takes the next byte; the value once it is complete.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<u32>, TooLong> {
        let shifted_out = self.value >> 25;
        if self.bytes == 5 || shifted_out != 0 {
            return Err(TooLong);
        }
        self.bytes += 1;
        self.value = self.value << 7 | u32::from(byte & 0x7F);
        let is_last = byte & 0x80 == 0;
        if !is_last && self.bytes == 5 {
            return Err(TooLong);
        }
        Ok(is_last.then_some(self.value))
    }
}

/// Appends the shortest form.
pub(super) fn write(value: u32, out: &mut Vec<u8>) {
    let groups = (32 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        out.push((value >> (7 * group)) as u8 & 0x7F | more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<u32>, TooLong> {
        let mut number = Number::default();
        let mut value = None;
        for &byte in bytes {
            value = number.push(byte)?;
        }
        Ok(value)
    }

    #[test]
    fn reads_what_it_writes_at_every_length() {
        for value in [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1F_FFFF, 0x20_0000, 0xFFF_FFFF, 0x1000_0000, u32::MAX] {
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            assert_eq!(read(&bytes), Ok(Some(value)), "{value:#x} as {bytes:x?}");
        }
    }

    #[test]
    fn refuses_more_than_32_bits_and_more_than_five_bytes() {
        assert_eq!(read(&[0x8F, 0xFF, 0xFF, 0xFF, 0x7F]), Ok(Some(u32::MAX)));
        assert_eq!(read(&[0x90, 0x80, 0x80, 0x80, 0x00]), Err(TooLong));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80]), Err(TooLong));
        assert_eq!(read(&[0x80, 0x00]), Ok(Some(0)), "long forms of small numbers are legal");
    }
}
