//! A table of what each command becomes, on two workers.

use super::*;
use crate::command::{Codec, Extensions, Format, Highest, Kind};
use crate::pump::tests::open;

fn name(text: &str) -> Name {
    text.into()
}

fn expect(track: &str, peer: &str) -> Expect {
    Expect {
        track: track.into(),
        peer: peer.into(),
        mid: "0".into(),
        kind: Kind::Video,
        codecs: Vec::new(),
        extensions: Extensions::default(),
        rids: Vec::new(),
        ssrcs: Vec::new(),
    }
}

fn route(route: RouteId, track: &str, peer: &str) -> Route {
    let codecs = vec![Codec { format: Format::Vp8, clock: 90_000, pt: 96, rtx_pt: None }];
    let (track, peer, mid) = (track.into(), peer.into(), "1".into());
    Route { route, track, peer, mid, codecs, extensions: Extensions::default(), ssrc: 7, rtx_ssrc: None }
}

/// A peer whose user fragment is its name.
fn opened(peer: &str) -> Command {
    let Command::Open(mut open) = open(peer) else { unreachable!("it is one") };
    open.local.ufrag = peer.into();
    Command::Open(open)
}

fn close(peer: &str) -> Command {
    Command::Close { peer: peer.into() }
}

fn layer(route: RouteId) -> Command {
    Command::SetLayer { route, layer: Some("h".into()), highest: Highest::ALL }
}

fn keyframe(track: &str) -> Command {
    Command::Keyframe { track: track.into(), layer: "h".into() }
}

/// As the control plane's command, for one worker.
fn plain(worker: usize, command: Command) -> (usize, Order) {
    (worker, Order::Command(command))
}

fn shared(worker: usize, sharing: Sharing) -> (usize, Order) {
    (worker, Order::Sharing(sharing))
}

fn mirror(worker: usize, track: &str, peer: &str) -> [(usize, Order); 2] {
    let home = 1 - worker;
    [
        shared(worker, Sharing::Mirror { expect: expect(track, peer), home }),
        shared(home, Sharing::Feed { track: track.into(), worker }),
    ]
}

fn unmirror(worker: usize, track: &str) -> [(usize, Order); 2] {
    [
        shared(worker, Sharing::Unmirror { track: track.into() }),
        shared(1 - worker, Sharing::Starve { track: track.into(), worker }),
    ]
}

fn said(router: &mut Router, commands: impl IntoIterator<Item = Command>) -> Vec<(usize, Order)> {
    commands.into_iter().for_each(|command| router.command(command));
    router.take().collect()
}

/// `a` at worker 0 and `b` at worker 1, both settled, each with a track of its name in capitals.
fn two() -> Router {
    let mut router = Router::new(2);
    said(&mut router, [opened("a"), opened("b")]);
    assert_eq!((router.check("a", 0), router.check("b", 1)), (Some(0), Some(1)));
    said(&mut router, [Command::Expect(expect("A", "a")), Command::Expect(expect("B", "b"))]);
    router
}

fn is_empty(router: &Router) -> bool {
    router.peers.is_empty() && router.ufrags.is_empty() && router.tracks.is_empty() && router.routes.is_empty()
}

#[test]
fn peers_go_where_there_are_fewest() {
    let mut router = Router::new(3);
    let at = |orders: Vec<(usize, Order)>| orders.into_iter().map(|(worker, _)| worker).collect::<Vec<_>>();
    assert_eq!(at(said(&mut router, ["a", "b", "c", "d"].map(opened))), [0, 1, 2, 0]);
    // Said twice, it goes to the one who has it.
    assert_eq!(at(said(&mut router, [opened("b")])), [1]);
    assert_eq!(at(said(&mut router, [close("c"), close("d"), opened("e"), opened("f")])), [2, 0, 2, 0]);
    assert_eq!(at(said(&mut router, ["a", "b", "e", "f"].map(close))), [0, 1, 2, 0]);
    assert!(is_empty(&router) && router.loads == [0, 0, 0]);
}

#[test]
fn a_track_is_mirrored_where_a_sink_needs_it_and_as_long() {
    let mut router = two();
    let here = [Command::Route(route(1, "A", "a")), layer(1)];
    assert_eq!(said(&mut router, here.clone()), here.map(|command| plain(0, command)));
    let there = [Command::Route(route(2, "A", "b")), layer(2), keyframe("A")];
    let [first, second, third] = there.clone();
    let [begin, feed] = mirror(1, "A", "a");
    assert_eq!(said(&mut router, there), [begin, feed, plain(1, first.clone()), plain(1, second), plain(0, third)]);
    let more = Command::Route(route(3, "A", "b"));
    assert_eq!(said(&mut router, [more.clone(), first.clone()]), [plain(1, more), plain(1, first)]);
    let [end, starve] = unmirror(1, "A");
    let unroute = |route| Command::Unroute { route };
    assert_eq!(said(&mut router, [unroute(2), unroute(1)]), [plain(1, unroute(2)), plain(0, unroute(1))]);
    assert_eq!(said(&mut router, [unroute(3)]), [plain(1, unroute(3)), end, starve]);
}

#[test]
fn a_new_description_goes_to_the_mirrors_too() {
    let mut router = two();
    said(&mut router, [Command::Route(route(1, "A", "b"))]);
    let again = Expect { mid: "7".into(), ..expect("A", "a") };
    let mirror = Sharing::Mirror { expect: again.clone(), home: 0 };
    assert_eq!(
        said(&mut router, [Command::Expect(again.clone())]),
        [plain(0, Command::Expect(again)), shared(1, mirror)]
    );
}

#[test]
fn what_ends_takes_its_mirrors_with_it() {
    let (unmirror_a, unmirror_b) = (unmirror(1, "A"), unmirror(0, "B"));
    let forget = Command::Forget { track: "A".into() };
    let only_a = unmirror_a[0].clone();
    for (last, expected) in [
        (forget.clone(), vec![plain(0, forget), only_a.clone()]),
        // As a sink it had a mirror, as a publisher it fed one.
        (close("a"), vec![plain(0, close("a")), unmirror_b[0].clone(), unmirror_b[1].clone(), only_a]),
        (
            close("b"),
            vec![
                plain(1, close("b")),
                unmirror_a[0].clone(),
                unmirror_a[1].clone(),
                shared(0, Sharing::Unmirror { track: "B".into() }),
            ],
        ),
    ] {
        let mut router = two();
        said(&mut router, [Command::Route(route(1, "A", "b")), Command::Route(route(2, "B", "a"))]);
        assert_eq!(said(&mut router, [last]), expected);
        said(&mut router, [close("a"), close("b")]);
        assert!(is_empty(&router), "{router:?}");
    }
}

#[test]
fn a_lost_peer_leaves_nothing_behind_and_only_its_worker_can_say_so() {
    let mut router = two();
    said(&mut router, [Command::Route(route(1, "A", "b")), Command::Route(route(2, "B", "a"))]);
    router.lost(&name("a"), 1);
    assert_eq!(router.take().count(), 0);
    router.lost(&name("a"), 0);
    let [end, starve] = unmirror(0, "B");
    assert_eq!(router.take().collect::<Vec<_>>(), [end, starve, unmirror(1, "A")[0].clone()]);
    router.lost(&name("b"), 1);
    assert!(is_empty(&router) && router.loads == [0, 0]);
}

#[test]
fn what_names_nobody_goes_to_the_first_worker_and_leaves_no_trace() {
    let mut router = Router::new(2);
    let nothing = [
        close("x"),
        Command::Expect(expect("X", "x")),
        Command::Route(route(1, "X", "x")),
        Command::Unroute { route: 1 },
        layer(1),
        keyframe("X"),
        Command::Forget { track: "X".into() },
        Command::Send { peer: "x".into(), text: "hello".into(), urgent: false },
    ];
    assert_eq!(said(&mut router, nothing.clone()), nothing.map(|command| plain(0, command)));
    assert!(is_empty(&router));
    assert_eq!(router.check("x", 1), None);
}

#[test]
fn a_peer_settles_where_its_first_check_lands() {
    let mut router = Router::new(2);
    said(&mut router, [opened("a"), opened("b")]);
    assert_eq!(router.check("a", 0), Some(0));
    assert_eq!(router.take().collect::<Vec<_>>(), [shared(0, Sharing::Settle { peer: name("a") })]);
    assert_eq!(router.check("b", 0), Some(0));
    assert_eq!(
        router.take().collect::<Vec<_>>(),
        [shared(1, Sharing::Abandon { peer: name("b") }), shared(0, Sharing::Again(opened("b")))]
    );
    // Later ones change nothing, wherever they land.
    assert_eq!((router.check("b", 1), router.check("a", 1), router.take().count()), (Some(0), Some(0), 0));
    assert_eq!(router.loads, [2, 0]);
}

#[test]
fn all_that_a_peer_has_goes_with_it() {
    let mut router = two();
    // `c` is placed at worker 0 and settles at worker 1.
    let hello = Command::Send { peer: "c".into(), text: "hello".into(), urgent: false };
    said(&mut router, [opened("c"), hello.clone(), Command::Expect(expect("C", "c"))]);
    let ways = [route(1, "C", "a"), route(2, "C", "b"), route(3, "A", "c"), route(4, "B", "c")];
    said(&mut router, ways.iter().flat_map(|way| [Command::Route(way.clone()), layer(way.route)]));
    assert_eq!(router.check("c", 1), Some(1));
    let [unmirror_c, starve_c] = unmirror(1, "C");
    let [unmirror_b, starve_b] = unmirror(0, "B");
    let mut expected = vec![
        unmirror_c,
        starve_c,
        unmirror_b,
        starve_b,
        shared(0, Sharing::Abandon { peer: name("c") }),
        shared(1, Sharing::Again(opened("c"))),
        shared(1, Sharing::Again(hello)),
        plain(1, Command::Expect(expect("C", "c"))),
    ];
    for (place, way) in ways.into_iter().enumerate() {
        let sink = if place == 0 { 0 } else { 1 };
        match place {
            0 => expected.extend(mirror(0, "C", "c")),
            2 => expected.extend(mirror(1, "A", "a")),
            _ => {}
        }
        let id = way.route;
        expected.extend([plain(sink, Command::Route(way)), plain(sink, layer(id))]);
    }
    assert_eq!(router.take().collect::<Vec<_>>(), expected);
    said(&mut router, [close("a"), close("b"), close("c")]);
    assert!(is_empty(&router) && router.loads == [0, 0]);
}

#[test]
fn one_worker_does_not_get_everybody() {
    let mut router = Router::new(2);
    let names: Vec<String> = (0..200).map(|number| format!("p{number}")).collect();
    said(&mut router, names.iter().map(|name| opened(name)));
    for name in &names {
        router.check(name, 0);
    }
    let [most, least] = router.loads[..] else { panic!("two workers") };
    assert!(most + least == 200 && least > 50 && most > least, "{:?}", router.loads);
}

#[test]
fn a_peer_with_too_much_to_say_again_stays() {
    let mut router = Router::new(2);
    let send = || Command::Send { peer: "a".into(), text: "hello".into(), urgent: false };
    said(&mut router, [opened("a")]);
    let orders = said(&mut router, std::iter::repeat_with(send).take(MOST_KEPT));
    assert!(orders.contains(&shared(0, Sharing::Settle { peer: name("a") })));
    assert_eq!((router.check("a", 1), router.take().count()), (Some(0), 0));
}

#[test]
fn whom_we_dial_stays_where_it_is() {
    let mut router = Router::new(2);
    let Command::Open(mut open) = opened("a") else { unreachable!("it is one") };
    open.role = Role::Caller;
    said(&mut router, [Command::Open(open)]);
    assert_eq!((router.check("a", 1), router.take().count()), (Some(0), 0));
}
