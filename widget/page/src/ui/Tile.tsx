/** One tile: a picture or an avatar, a voice, a name and marks. Where it lies is decided by the stage. */
import { MicOff, MonitorUp, Pause, Pin, TriangleAlert } from "lucide-react";
import { useCallback, useState, type CSSProperties, type KeyboardEvent } from "react";
import type { Size } from "../core/vocabulary";
import { say } from "../strings";
import { Avatar } from "./Avatar";
import { Picture } from "./Picture";
import type { Spot } from "./placement";
import type { Sound } from "./sound";
import { type TileView } from "./tiles";
import { Voice } from "./Voice";

interface Props {
  readonly tile: TileView;
  readonly spot: Spot;
  readonly above: boolean;
  readonly leaving: boolean;
  readonly speaking: boolean;
  readonly pinned: boolean;
  readonly poor: boolean;
  readonly active: boolean;
  readonly speaker: string;
  readonly sound: Sound;
  onPin(id: string): void;
  onFocus(id: string): void;
  onSize(id: string, size: Size | undefined): void;
  keep(id: string, element: HTMLElement | null): void;
}

export function Tile(props: Props) {
  const { tile, spot, onPin, onSize, keep } = props;
  const screen = tile.purpose === "m.screenshare";
  const [painted, setPainted] = useState(false);
  const sized = useCallback(
    (size: Size | undefined) => {
      setPainted(size !== undefined);
      onSize(tile.id, size);
    },
    [tile.id, onSize],
  );
  const root = useCallback((element: HTMLElement | null) => keep(tile.id, element), [tile.id, keep]);
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    onPin(tile.id);
  };
  const style: CSSProperties = {
    transform: `translate(${spot.x}px, ${spot.y}px)`,
    width: spot.width,
    height: spot.height,
  };
  // A tile on its way out is only a picture of what was: nobody's tile any more.
  const names = props.leaving
    ? { "aria-hidden": true as const }
    : {
        "data-user": tile.owner.userId,
        "data-device": tile.owner.deviceId,
        "data-purpose": tile.purpose,
        "data-large": spot.large,
        "data-self": tile.own,
        "data-stream": tile.id,
      };
  return (
    <div
      ref={root}
      className="tile"
      role="button"
      tabIndex={props.active && !props.leaving ? 0 : -1}
      aria-pressed={props.pinned}
      aria-label={describe(props)}
      data-speaking={props.speaking}
      data-paused={tile.paused && tile.pictured}
      data-above={props.above}
      data-fixed={spot.large}
      data-leaving={props.leaving}
      style={style}
      onClick={() => onPin(tile.id)}
      onKeyDown={press}
      onFocus={() => props.onFocus(tile.id)}
      {...names}
    >
      <Avatar userId={tile.owner.userId} name={tile.name} />
      <Picture
        track={tile.video}
        mirrored={tile.own && !screen}
        whole={screen}
        visible={tile.pictured && painted}
        onSize={sized}
      />
      {!tile.own && <Voice track={tile.audio} speaker={props.speaker} sound={props.sound} />}
      <div className="tile-label">
        {tile.muted && <MicOff className="tile-muted" aria-hidden="true" />}
        {screen && <MonitorUp aria-hidden="true" />}
        <span className="tile-name">{title(tile)}</span>
      </div>
      <div className="tile-marks">
        {props.poor && <TriangleAlert className="tile-poor" role="img" aria-label={say("tile.poor")} />}
        {tile.paused && tile.pictured && <Pause className="tile-paused" role="img" aria-label={say("tile.paused")} />}
        {props.pinned && <Pin aria-hidden="true" />}
      </div>
    </div>
  );
}

/** What is written on a tile. */
export function title(tile: TileView): string {
  if (tile.purpose === "m.screenshare") return tile.own ? say("tile.ownScreen") : say("tile.screen", { name: tile.name });
  return tile.own ? say("tile.you") : tile.name;
}

function describe({ tile, speaking, pinned, poor }: Props): string {
  const screen = tile.purpose === "m.screenshare";
  return [
    title(tile),
    tile.muted && !screen && say("tile.muted"),
    !tile.pictured && !screen && say("tile.cameraOff"),
    tile.paused && tile.pictured && say("tile.paused"),
    speaking && say("tile.speaking"),
    poor && say("tile.poor"),
    pinned && say("tile.pinned"),
    pinned ? say("tile.unpin") : say("tile.pin"),
  ]
    .filter((part) => part !== false)
    .join(", ");
}
