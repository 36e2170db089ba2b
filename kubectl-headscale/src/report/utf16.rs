//! UTF-16 columns, as SARIF and editors count them.

/// A count is kept about every this many bytes, so that a question reads no more than this.
const STRIDE: usize = 1024;

/// Counts UTF-16 code units up to byte offsets of a text, however long its lines are. A byte that
/// is not UTF-8 counts as the one replacement character that a viewer shows for it.
pub(super) struct Utf16Index<'a> {
    text: &'a [u8],
    /// Byte offsets where a character starts, with the code units before them.
    counts: Vec<(usize, usize)>,
}

impl<'a> Utf16Index<'a> {
    /// Indexes `text` in a pass over it.
    pub(super) fn new(text: &'a [u8]) -> Self {
        let mut counts = vec![(0, 0)];
        let (mut at, mut units, mut next) = (0, 0, STRIDE);
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                if at >= next {
                    counts.push((at, units));
                    next = at + STRIDE;
                }
                at += c.len_utf8();
                units += c.len_utf16();
            }
            at += chunk.invalid().len();
            units += usize::from(!chunk.invalid().is_empty());
        }
        Self { text, counts }
    }

    /// Code units from the byte offset `from` to the byte offset `to`.
    pub(super) fn units(&self, from: usize, to: usize) -> usize {
        self.before(to).saturating_sub(self.before(from))
    }

    fn before(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let known = self.counts.partition_point(|(at, _)| *at <= offset).saturating_sub(1);
        let (at, units) = self.counts.get(known).copied().unwrap_or_default();
        let rest = self.text.get(at..offset).unwrap_or_default();
        let rest = rest.utf8_chunks().map(|chunk| {
            chunk.valid().encode_utf16().count() + usize::from(!chunk.invalid().is_empty())
        });
        units + rest.sum::<usize>()
    }
}
