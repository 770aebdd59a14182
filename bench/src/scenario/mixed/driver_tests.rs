//! Who was parted with for reading slowly writes no more; what they had written is told apart from what a server lost.
use super::*;
use crate::control::Window;
use crate::wire::dialect::Dialect;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: MixedArgs,
}

#[test]
fn messages_of_those_who_were_parted_with_are_not_lost() {
    let window = Window { warmup: Duration::ZERO, duration: Duration::from_hours(1), drain: Duration::ZERO };
    let control = Control::new(window, 1, Dialect::named("longwire").unwrap()).unwrap();
    let sizes = ["--users=20", "--conversations=30", "--groups=4", "--members=5", "--slow-readers=50%"];
    let options = Line::parse_from([&["mixed", "--rate=1"] as &[&str], &sizes].concat()).options;
    let mut io = Io::new(20, &control, control.tallies(0));
    let mut mixed = Mixed::new(&control, &options, (0, 1), (0, 20)).unwrap();
    control.begin();
    mixed.begin(control.start().unwrap());
    // Nothing of this is ever delivered.
    (0..1000).for_each(|_| mixed.write(&mut io, 1).unwrap());
    for conn in (0..20).filter(|&conn| mixed.slow.is(conn)).collect::<Vec<_>>() {
        assert_eq!(mixed.closed(&mut io, conn, &End::Reset), After::Leave);
    }
    let before = mixed.sent.clone();
    (0..1000).for_each(|_| mixed.write(&mut io, 1).unwrap());
    let mut written = [0, 0];
    for (sender, (before, sent)) in before.iter().zip(&mixed.sent).enumerate() {
        let writer = match mixed.pairs.get(sender / 2) {
            Some(pair) => pair[sender % 2] as usize,
            None => {
                let (group, member) = mixed.rooms.sent_by(sender - 2 * mixed.pairs.len());
                mixed.rooms.user(group, member)
            }
        };
        written[usize::from(mixed.slow.gone(writer))] += sent - before;
    }
    assert_eq!(written, [1000, 0], "of those who are there, and of those who are gone");
    let (mut faults, mut part) = (Faults::default(), MixedPart::default());
    mixed.close(&mut faults, &mut part);
    assert!(part.slow_cut_short > 0 && faults.lost > 0 && part.slow_missed > 0, "{faults:?}, {part:?}");
    assert_eq!(faults.lost + part.slow_cut_short, mixed.due, "{faults:?}, {part:?}");
}
