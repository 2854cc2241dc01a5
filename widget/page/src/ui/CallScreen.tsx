/** The call: stage, name of the room, controls, and what has to be said about them. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { OWN } from "../call/state";
import { say } from "../strings";
import { actsOf } from "./acts";
import { Alone } from "./Alone";
import { Banner } from "./Banner";
import { Bar } from "./Bar";
import { ClosedNotice } from "./ClosedNotice";
import { DevicesDialog } from "./DevicesDialog";
import { MediaNotices, Notice, SoundNotice } from "./Notices";
import { PeopleList } from "./PeopleList";
import { roomLabel } from "./roomLabel";
import { Sound } from "./sound";
import { Stage } from "./Stage";
import { peopleOf, tilesOf } from "./tiles";
import { useCopy } from "./useCopy";
import { useKeys } from "./useKeys";
import { useLayoutChoice } from "./useLayoutChoice";
import { useStore } from "./useStore";
import { useWake } from "./useWake";
import type { Visit } from "./visit";

interface Props {
  readonly visit: Visit;
  readonly brand: string;
  onLeave(): void;
}

export function CallScreen({ visit, brand, onLeave }: Props) {
  const { call, media } = visit;
  const state = useStore(call.store);
  const mine = useStore(media.store);
  const self = useStore(visit.self);
  const [sound] = useState(() => new Sound());
  const [pinned, setPinned] = useState<string>();
  const [choosing, setChoosing] = useState(false);
  const { copied, copy, clear } = useCopy();
  const tiles = useMemo(() => tilesOf(state, mine, self), [state, mine, self]);
  const people = useMemo(() => peopleOf(tiles), [tiles]);
  const screen = tiles.findLast((tile) => tile.purpose === "m.screenshare" && !tile.own)?.id;
  const [layout, setLayout] = useLayoutChoice(screen);
  useWake();

  const pin = useCallback((id: string) => setPinned((old) => (old === id ? undefined : id)), []);
  const show = useCallback((pictures: Parameters<typeof call.show>[0]) => call.show(pictures), [call]);
  useEffect(() => call.pin(pinned), [call, pinned]);
  const relayout = (next: typeof layout) => {
    setPinned(undefined);
    setLayout(next);
  };
  const acts = actsOf({
    media,
    state: mine,
    layout,
    copied: copied === "yes",
    setLayout: relayout,
    copy,
    chooseDevices: () => setChoosing(true),
  });
  useKeys(acts, () => setPinned(undefined));

  const room = roomLabel(state.roomName, visit.room);
  useEffect(() => {
    document.title = room ? say("app.title", { room, brand }) : brand;
    return () => {
      document.title = brand;
    };
  }, [room, brand]);

  const alone = state.phase === "live" && state.streams.length === 0;
  return (
    <main className="call">
      <div className="call-view">
        <div className="call-stage">
          <Stage
            tiles={tiles}
            layout={layout}
            pinned={pinned}
            floor={state.floor}
            speaking={state.speaking}
            poor={state.uplink === "poor" ? OWN : undefined}
            dim={state.phase === "reconnecting"}
            speaker={mine.speaker}
            sound={sound}
            onPin={pin}
            onShow={show}
          />
          <Banner state={state} />
          {alone && <Alone copied={copied === "yes"} onCopy={copy} />}
        </div>
        <div className="notices">
          <SoundNotice sound={sound} />
          {state.closedToOthers && <ClosedNotice allow={() => call.allow()} />}
          <MediaNotices media={media} />
          {copied === "refused" && <Notice text={say("bar.copyFailed", { link: location.href })} onDismiss={clear} />}
        </div>
      </div>
      <div className="call-room">
        <h1>{room}</h1>
        <PeopleList people={people} />
      </div>
      <Bar acts={acts} onLeave={onLeave} />
      <p className="unseen" role="status">
        {copied === "yes" && say("bar.copied")}
      </p>
      <DevicesDialog open={choosing} media={media} onOpenChange={setChoosing} />
    </main>
  );
}
