//! What the parts of a stream take: bits a second by spatial and temporal id.

use super::frame::Part;

/// Ids have three bits, spatial ones (RFC 9628 §4.2) and temporal ones.
const IDS: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub struct Parts {
    /// Received since the last full second.
    bytes: [[u32; IDS]; IDS],
    /// In the last full second, in bits.
    rates: [[u32; IDS]; IDS],
    /// The highest spatial id that came in this second or the last one.
    top: u8,
}

impl Parts {
    /// A packet came.
    pub fn count(&mut self, part: Part, size: u16) {
        let rates = self.bytes.get_mut(usize::from(part.spatial));
        if let Some(bytes) = rates.and_then(|rates| rates.get_mut(usize::from(part.temporal))) {
            *bytes += u32::from(size);
            self.top = self.top.max(part.spatial);
        }
    }

    /// The highest spatial id that comes.
    #[must_use]
    pub fn top(&self) -> u8 {
        self.top
    }

    /// A second passed.
    pub fn measure(&mut self) {
        self.rates = std::mem::take(&mut self.bytes).map(|row| row.map(|bytes| bytes.saturating_mul(8)));
        let top = self.rates.iter().rposition(|row| row.iter().any(|bits| *bits > 0));
        self.top = top.unwrap_or(0) as u8;
    }

    /// Spatial id, temporal id, and bits a second of all that is no higher than either, for each part that came.
    /// Nothing of a stream that has only one.
    pub fn rates(&self) -> impl Iterator<Item = (u8, u8, u64)> + '_ {
        let each = self.rates.iter().enumerate().flat_map(|(spatial, row)| {
            row.iter().enumerate().filter(|bits| *bits.1 > 0).map(move |(temporal, _)| (spatial, temporal))
        });
        let single = each.clone().nth(1).is_none();
        each.filter(move |_| !single).map(|(spatial, temporal)| {
            let below = self.rates.iter().take(spatial + 1).flat_map(move |row| row.iter().take(temporal + 1));
            (spatial as u8, temporal as u8, below.map(|bits| u64::from(*bits)).sum())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_a_part_with_all_that_it_needs() {
        let mut parts = Parts::default();
        for (spatial, temporal, size) in [(0, 0, 100), (0, 1, 50), (1, 0, 400), (1, 1, 200), (0, 0, 100), (9, 9, 5)] {
            parts.count(Part { spatial, temporal, ..Part::default() }, size);
        }
        parts.measure();
        let expected = [(0, 0, 1600), (0, 1, 2000), (1, 0, 4800), (1, 1, 6800)];
        assert_eq!((parts.top(), parts.rates().collect::<Vec<_>>()), (1, expected.to_vec()));
        parts.count(Part::default(), 100);
        assert_eq!(parts.top(), 1);
        parts.measure();
        assert_eq!((parts.top(), parts.rates().count()), (0, 0), "of one part there is nothing to tell");
    }
}
