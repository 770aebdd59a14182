//! What fills a payload up behind its mark: words, of which a compressor makes about what it makes of what people write. Knows
//! no mark and no frame.
use std::sync::LazyLock;

/// Bytes after which it begins again: farther than deflate looks back, so that no repetition is found that people would not write.
const PERIOD: usize = 1 << 16;
/// Commoner words come first.
const WORDS: &str = "the to and of a in is you it that for on with be we are this have not at as can will but or if they do \
    so what there when all just one about from out up was me my your no go time has how some would like get then them more now \
    were who here need know see had our over make into only which their could also think other people than first us day two way \
    because take any been come after want these work back well even new look use its should still much him her why before right \
    down where off too very let good year last week must might morning through own between going never place same old great \
    today another tomorrow while long little keep end nothing found always later again thing both under next start made house \
    night during without around home left together part small however number group away room friend every might problem point \
    answer try question meeting train server weather sorry thanks please really probably maybe already evening dinner money \
    station office letter picture holiday ticket market garden window kitchen doctor teacher student report deadline version \
    library update message channel project schedule customer address delivery order invoice receipt battery keyboard monitor \
    coffee breakfast restaurant airport passport suitcase neighbour birthday present concert football practice science history \
    language mountain river forest island summer winter autumn spring thunder umbrella bicycle motorway traffic accident";

static TEXT: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
    let mut text = String::with_capacity(PERIOD + 16);
    let mut state = 1_u64;
    let mut draw = || {
        // Knuth's MMIX constants: the same text in every run, on every machine.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 48) as usize
    };
    while text.len() < PERIOD {
        // The product of two draws is small more often than not, as common words are common.
        let word = words[(draw() * draw() * words.len()) >> 32];
        let stop = if draw() % 9 == 0 { ". " } else { " " };
        text.push_str(word);
        text.push_str(stop);
    }
    text.truncate(PERIOD);
    text.into_bytes().into()
});

/// Writes it.
pub(crate) fn fill(out: &mut [u8]) {
    out.chunks_mut(PERIOD).for_each(|chunk| chunk.copy_from_slice(&TEXT[..chunk.len()]));
}

/// Whether `bytes` are this and nothing else.
pub(crate) fn is(bytes: &[u8]) -> bool {
    bytes.chunks(PERIOD).all(|chunk| *chunk == TEXT[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    #[test]
    fn it_may_stand_in_any_text_and_is_told_from_any_other() {
        let mut bytes = vec![0; 3 * PERIOD + 100];
        fill(&mut bytes);
        assert!(bytes.iter().all(|byte| byte.is_ascii_lowercase() || b" .".contains(byte)));
        for length in [0, 1, 16, PERIOD, PERIOD + 1, bytes.len()] {
            assert!(is(&bytes[..length]), "{length}");
        }
        for at in [0, 15, PERIOD - 1, PERIOD, bytes.len() - 1] {
            bytes[at] ^= 1;
            assert!(!is(&bytes), "{at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn a_compressor_makes_of_it_what_it_makes_of_chat() {
        for (size, least, most) in [(512, 55, 85), (4096, 45, 70), (65_536, 35, 60)] {
            let mut bytes = vec![0; size];
            fill(&mut bytes);
            let mut codec = Compress::new_with_window_bits(Compression::fast(), false, 15);
            let mut packed = Vec::with_capacity(2 * size);
            codec.compress_vec(&bytes, &mut packed, FlushCompress::Sync).unwrap();
            let percent = 100 * packed.len() / size;
            assert!((least..=most).contains(&percent), "{size} bytes to {percent} %");
        }
    }
}
