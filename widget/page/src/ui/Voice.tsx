/** One voice: plays as long as it is there, on the chosen speaker, whether or not its tile is in view. */
import { useEffect, useRef } from "react";
import type { Sound } from "./sound";

interface Props {
  readonly track: MediaStreamTrack | undefined;
  readonly speaker: string;
  readonly sound: Sound;
}

/** Not every browser lets a page choose the speaker. */
export const choosesSpeaker = "setSinkId" in HTMLMediaElement.prototype;

export function Voice({ track, speaker, sound }: Props) {
  const ref = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    element.srcObject = track ? new MediaStream([track]) : null;
    if (track) void sound.play(element);
    return () => sound.forget(element);
  }, [track, sound]);
  useEffect(() => {
    // A speaker that was unplugged meanwhile: the system's default goes on playing.
    if (choosesSpeaker) void ref.current?.setSinkId(speaker).catch(() => undefined);
  }, [speaker]);
  return <audio ref={ref} autoPlay />;
}
