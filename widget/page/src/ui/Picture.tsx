/** One moving picture. It tells the picture's size when it has one, and `undefined` when there is none to see. */
import { useEffect, useRef } from "react";
import type { Size } from "../core/vocabulary";

interface Props {
  readonly track: MediaStreamTrack | undefined;
  readonly mirrored: boolean;
  readonly whole: boolean;
  readonly visible: boolean;
  onSize(size: Size | undefined): void;
}

export function Picture({ track, mirrored, whole, visible, onSize }: Props) {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    element.srcObject = track ? new MediaStream([track]) : null;
    if (!track) onSize(undefined);
    else void element.play().catch(() => undefined);
  }, [track, onSize]);
  const measure = () => {
    const element = ref.current;
    if (element && element.videoWidth > 0) onSize({ width: element.videoWidth, height: element.videoHeight });
  };
  return (
    <video
      ref={ref}
      className="picture"
      autoPlay
      playsInline
      muted
      disablePictureInPicture
      tabIndex={-1}
      data-mirrored={mirrored}
      data-whole={whole}
      data-visible={visible}
      onLoadedMetadata={measure}
      onResize={measure}
    />
  );
}
