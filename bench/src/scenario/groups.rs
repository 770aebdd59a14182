//! Groups in which some members write and all the others read. Knows no socket.
mod driver;

use super::common::{Book, LoadArgs};
use super::rest::{self, RestArgs};
use super::rooms::Rooms;
use super::{open, run_on, shares};
use crate::report::{Report, Table};
use crate::target::{Target, TargetArgs};
use anyhow::ensure;
use clap::Args;
use driver::{Groups, Shared};

/// Options of `groups`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GroupsArgs {
    /// Groups
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) groups: u32,
    /// Members of each group
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) members: u32,
    /// Groups that each user is in; groups × members is a multiple of it
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) groups_per_user: u32,
    /// Members of each group that write, in turn
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) senders: u32,
    /// Give each message an `id`, so that the server acks it
    #[arg(long)]
    pub(crate) ids: bool,
    #[command(flatten)]
    pub(crate) rest: RestArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Options of `group`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GroupArgs {
    /// Members, the publisher included
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) members: u32,
    /// Give each message an `id`, so that the server acks it
    #[arg(long)]
    pub(crate) ids: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Runs `group`: one group, one publisher.
pub(crate) fn run_one(args: &TargetArgs, options: &GroupArgs) -> anyhow::Result<Report> {
    let GroupArgs { members, ids, load } = options.clone();
    let rest = RestArgs { idle: 0 };
    let one = GroupsArgs { groups: 1, members, groups_per_user: 1, senders: 1, ids, rest, load };
    let loop_kind = one.load.describe("group");
    let workload =
        format!("one publisher in a group of {members}, {} B payload, {loop_kind}", one.load.payload);
    measure(&open(args)?, args, &one, Table::new("group", workload))
}

/// Runs `groups`.
pub(crate) fn run(args: &TargetArgs, options: &GroupsArgs) -> anyhow::Result<Report> {
    rooms(options)?;
    on(&open(args)?, args, options)
}

/// The same on a server that is there already.
pub(crate) fn on(target: &Target, args: &TargetArgs, options: &GroupsArgs) -> anyhow::Result<Report> {
    let workload = format!(
        "{} groups of {}{}, {} groups a user, {} members write, {} B payload, {} in each group",
        options.groups,
        options.members,
        options.rest.describe(),
        options.groups_per_user,
        options.senders.min(options.members),
        options.load.payload,
        options.load.describe("group")
    );
    measure(target, args, options, Table::new("groups", workload))
}

fn rooms(options: &GroupsArgs) -> anyhow::Result<Rooms> {
    let (groups, members) = (options.groups as usize, options.members as usize);
    let each = options.groups_per_user as usize;
    ensure!(
        (groups * members).is_multiple_of(each),
        "{groups} groups × {members} members is no multiple of {each} groups per user"
    );
    let senders = members.min(options.senders as usize);
    let rooms = Rooms { users: groups * members / each, groups, members, senders };
    ensure!(
        rooms.sound(),
        "{groups} groups are too few for {each} per user: somebody would be in one of them twice"
    );
    Ok(rooms)
}

fn measure(target: &Target, args: &TargetArgs, options: &GroupsArgs, table: Table) -> anyhow::Result<Report> {
    args.dialect()?.check_ids(options.ids)?;
    let rooms = rooms(options)?;
    let by_path = args.dialect()?.join("").is_none();
    ensure!(
        !by_path || rooms.places_max() == 1,
        "in this --dialect a connection is in one group: --groups-per-user 1"
    );
    let shares = shares(rooms.users, 1, args.threads.clamp(1, rooms.users));
    let shared = Shared::new(rooms.groups);
    run_on(target, args, options.load.window.window(), &options.rest.added(&shares), |run| {
        let mut first = 0;
        let drivers = (0..shares.len())
            .map(|part| {
                let range = (first, shares[part]);
                first += shares[part];
                Groups::new(
                    Book::new(run.control, part),
                    (options, rooms),
                    &shared,
                    (part, shares.len()),
                    range,
                )
            })
            .collect();
        let drivers = options.rest.beside(run, drivers, &shares);
        let (mut measured, drivers) = run.drive_sparing(drivers, options.rest.spare())?;
        rest::close(&drivers, &mut measured.faults);
        let drivers: Vec<&Groups<'_>> = drivers.iter().map(|driver| &driver.first).collect();
        let mut sent = vec![0; rooms.groups * rooms.senders];
        drivers.iter().for_each(|driver| driver.tell(&mut sent));
        drivers.iter().for_each(|driver| driver.close(&sent, &mut measured.faults));
        Ok(table.with(run, measured, drivers.iter().map(|driver| &driver.book)))
    })
}
