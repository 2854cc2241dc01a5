/** Before the call: how one looks and sounds, and the button that joins. */
import { Mic, MicOff, Video, VideoOff } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { Size } from "../core/vocabulary";
import type { LocalMedia } from "../media/local";
import { say } from "../strings";
import { BarButton } from "./BarButton";
import { DeviceChoice } from "./DeviceChoice";
import { MediaNotices } from "./Notices";
import { Page } from "./Page";
import { Picture } from "./Picture";
import { roomLabel } from "./roomLabel";
import { useStore } from "./useStore";

interface Props {
  readonly brand: string;
  readonly room: string;
  readonly userId: string;
  readonly media: LocalMedia;
  onJoin(): void;
}

export function Lobby({ brand, room, userId, media, onJoin }: Props) {
  const { camera, mic } = useStore(media.store);
  const [size, setSize] = useState<Size>();
  const asking = (camera.on && !camera.track) || (mic.on && !mic.track);
  const button = useRef<HTMLButtonElement>(null);
  // Enter joins; but on a small phone the picture stays in view.
  useEffect(() => button.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const label = roomLabel("", room);
    document.title = label ? say("app.title", { room: label, brand }) : brand;
  }, [room, brand]);
  return (
    <Page brand={brand} wide>
      <div className="lobby">
        <div className="preview">
          <Picture track={camera.track} mirrored whole={false} visible={camera.on && size !== undefined} onSize={setSize} />
          {!camera.on && <p className="preview-text">{say("lobby.cameraOff")}</p>}
          {asking && <p className="preview-text">{say("lobby.asking")}</p>}
          <div className="preview-bar">
            <BarButton
              icon={mic.on ? Mic : MicOff}
              label={say(mic.on ? "bar.mute" : "bar.unmute")}
              tone={mic.on ? undefined : "off"}
              onClick={() => void media.setMic(!mic.on)}
            />
            <BarButton
              icon={camera.on ? Video : VideoOff}
              label={say(camera.on ? "bar.cameraOff" : "bar.cameraOn")}
              tone={camera.on ? undefined : "off"}
              onClick={() => void media.setCamera(!camera.on)}
            />
          </div>
        </div>
        <section className="card">
          <div>
            <h1>{say("lobby.title")}</h1>
            <p className="lobby-room" title={room}>{room}</p>
          </div>
          <DeviceChoice media={media} />
          <div className="lobby-notices">
            <MediaNotices media={media} />
          </div>
          <button type="button" className="button" onClick={onJoin} ref={button}>
            <Video aria-hidden="true" />
            {say("lobby.join")}
          </button>
          <p className="who">{say("lobby.as", { user: userId })}</p>
        </section>
      </div>
    </Page>
  );
}
