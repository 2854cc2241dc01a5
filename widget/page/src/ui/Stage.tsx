/**
 * The tiles of a call in the room that there is, and the report of what is seen of them.
 *
 * Tiles never change their parent or order in the document: a picture that is moved there
 * would stop. They are moved by style alone.
 */
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type UIEvent } from "react";
import { chooseLarge } from "../core/layout";
import type { Size } from "../core/vocabulary";
import { say } from "../strings";
import { ratioOf } from "./ratio";
import { inView, neighbour, type Direction, type Spot } from "./placement";
import type { Sound } from "./sound";
import { arrange, pictures, settle } from "./staging";
import { Tile } from "./Tile";
import type { TileView } from "./tiles";
import { useDeparting } from "./useDeparting";
import { useSize } from "./useBrowser";

export type Layout = "spotlight" | "grid";

/** How long a tile takes to go; as long as the style says. */
const LEAVING = 180;

interface Props {
  readonly tiles: readonly TileView[];
  readonly layout: Layout;
  readonly pinned: string | undefined;
  readonly floor: string | undefined;
  readonly speaking: ReadonlySet<string>;
  readonly poor: string | undefined;
  readonly dim: boolean;
  readonly speaker: string;
  readonly sound: Sound;
  onPin(id: string): void;
  onShow(pictures: ReadonlyMap<string, Size>): void;
}

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

export function Stage(props: Props) {
  const { tiles, pinned, onShow } = props;
  const stage = useRef<HTMLDivElement>(null);
  const space = useSize(stage);
  const [ratios, setRatios] = useState<ReadonlyMap<string, number>>(new Map());
  const [scrolled, setScrolled] = useState(0);
  const [focused, setFocused] = useState<string>();
  const lastLarge = useRef<string>(undefined);
  const seats = useRef<readonly string[]>([]);
  const elements = useRef(new Map<string, HTMLElement>());

  const spotlighted = props.layout === "spotlight" || tiles.some((tile) => tile.id === pinned);
  const candidates = tiles.map((tile) => ({ id: tile.id, own: tile.own, screen: tile.purpose === "m.screenshare" }));
  const large = spotlighted ? chooseLarge(candidates, pinned, props.floor, lastLarge.current) : undefined;
  const ids = tiles.map((tile) => tile.id);
  const settled = settle(seats.current, ids, lastLarge.current, large);
  const { placement, over } = arrange(tiles, large ? settled : ids, space, large, ratios);
  useEffect(() => {
    seats.current = settled;
    if (large) lastLarge.current = large;
  });

  const entries = useMemo(() => tiles.map((tile) => ({ id: tile.id, tile })), [tiles]);
  const departing = useDeparting(entries, LEAVING);
  const lastSpots = useRef(placement.spots);
  const lastSpace = useRef(space);
  // While the window is dragged, tiles follow at once; an animation would lag behind it.
  const still = lastSpace.current !== space;
  useEffect(() => {
    lastSpots.current = new Map([...lastSpots.current, ...placement.spots]);
    lastSpace.current = space;
  });

  const shown = pictures(tiles, placement, inView(placement, scrolled, space.height), ratios);
  const report = [...shown].map(([id, size]) => `${id} ${size.width}x${size.height}`).join("\n");
  const newest = useRef(shown);
  newest.current = shown;
  useEffect(() => onShow(newest.current), [report, onShow]);

  const sized = useCallback((id: string, size: Size | undefined) => {
    const ratio = ratioOf(size);
    if (ratio) setRatios((old) => (old.get(id) === ratio ? old : new Map(old).set(id, ratio)));
  }, []);
  const keep = useCallback((id: string, element: HTMLElement | null) => {
    if (element) elements.current.set(id, element);
    else elements.current.delete(id);
  }, []);
  const move = (event: KeyboardEvent) => {
    const direction = ARROWS[event.key];
    const next = direction && focused && neighbour(placement.spots, focused, direction);
    if (!direction || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (next) elements.current.get(next)?.focus();
  };
  const scroll = (event: UIEvent<HTMLElement>) => setScrolled(Math.round(event.currentTarget.scrollTop));

  const active = tiles.some((tile) => tile.id === focused) ? focused : (large ?? tiles[0]?.id);
  const tileOf = (tile: TileView, spot: Spot, leaving: boolean) => (
    <Tile
      key={tile.id}
      tile={tile}
      spot={spot}
      leaving={leaving}
      above={over && !spot.large}
      speaking={!leaving && tile.purpose === "m.usermedia" && !tile.muted && props.speaking.has(tile.id)}
      pinned={tile.id === pinned}
      poor={tile.id === props.poor}
      active={tile.id === active}
      speaker={props.speaker}
      sound={props.sound}
      onPin={props.onPin}
      onFocus={setFocused}
      onSize={sized}
      keep={keep}
    />
  );
  const overflows = placement.height > space.height + 1;
  return (
    <div className="stage" ref={stage}>
      <div className="scroller" data-overflows={overflows} data-dim={props.dim} data-still={still} onScroll={scroll} onKeyDown={move}>
        <div className="canvas" role="group" aria-label={say("tile.all")} style={{ width: space.width, height: placement.height }}>
          {placement.top > 0 && <div className="curtain" style={{ height: placement.top, marginBottom: -placement.top }} />}
          {[
            ...tiles.map((tile) => {
              const spot = placement.spots.get(tile.id);
              return spot && space.width > 0 && tileOf(tile, spot, false);
            }),
            ...departing.map(({ id, tile }) => {
              const spot = lastSpots.current.get(id);
              return spot && tileOf({ ...tile, audio: undefined }, { ...spot, large: false }, true);
            }),
          ]}
        </div>
      </div>
    </div>
  );
}
