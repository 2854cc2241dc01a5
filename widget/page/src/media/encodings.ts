/**
 * How our pictures are encoded: three layers each, full first.
 *
 * Chromium drops layers from the end of the list when a capture is too small for all, so
 * the smallest comes last (protocol of MSC3898 clients: rids f, h, q).
 */

export const CAMERA: RTCRtpEncodingParameters[] = [
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000, maxFramerate: 30 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000, maxFramerate: 30 },
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000, maxFramerate: 30 },
];

export const SCREEN: RTCRtpEncodingParameters[] = [
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 3_000_000, maxFramerate: 30 },
  { rid: "h", scaleResolutionDownBy: 1.5, maxBitrate: 1_000_000, maxFramerate: 15 },
  { rid: "q", scaleResolutionDownBy: 3, maxBitrate: 200_000, maxFramerate: 5 },
];

const CARRIED = { audio: ["audio/opus"], video: ["video/vp8", "video/rtx"] } as const;

/**
 * The codecs of a kind that the focus carries; empty when the browser cannot say.
 *
 * A browser repeats every codec that it knows on each line of its offers: in a large call
 * that alone would make them too long for any focus.
 */
export function carriedCodecs(kind: "audio" | "video"): RTCRtpCodec[] {
  const wanted: readonly string[] = CARRIED[kind];
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  const found = codecs.filter((codec) => wanted.includes(codec.mimeType.toLowerCase()));
  return found.some((codec) => codec.mimeType.toLowerCase() === wanted[0]) ? found : [];
}
