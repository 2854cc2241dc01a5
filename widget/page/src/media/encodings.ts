/**
 * How our pictures are encoded: three layers each, full first.
 *
 * Chromium drops layers from the end of the list when a capture is too small for all, so
 * the smallest comes last (protocol of MSC3898 clients: rids f, h, q).
 */

/** In time only: what Chromium does with VP8 unasked. Without it VP9 and AV1 come as the smallest layer alone. */
const LAYERS = "L1T3";

/** As W3C WebRTC-SVC extends it; a browser without that ignores the member. */
type Layer = RTCRtpEncodingParameters & { scalabilityMode: string };

export const CAMERA: Layer[] = [
  { rid: "f", scalabilityMode: LAYERS, scaleResolutionDownBy: 1, maxBitrate: 1_700_000, maxFramerate: 30 },
  { rid: "h", scalabilityMode: LAYERS, scaleResolutionDownBy: 2, maxBitrate: 500_000, maxFramerate: 30 },
  { rid: "q", scalabilityMode: LAYERS, scaleResolutionDownBy: 4, maxBitrate: 150_000, maxFramerate: 30 },
];

export const SCREEN: Layer[] = [
  { rid: "f", scalabilityMode: LAYERS, scaleResolutionDownBy: 1, maxBitrate: 3_000_000, maxFramerate: 30 },
  { rid: "h", scalabilityMode: LAYERS, scaleResolutionDownBy: 1.5, maxBitrate: 1_000_000, maxFramerate: 15 },
  { rid: "q", scalabilityMode: LAYERS, scaleResolutionDownBy: 3, maxBitrate: 200_000, maxFramerate: 5 },
];

const PROFILES: Record<string, RegExp> = {
  "audio/opus": /(?:)/,
  "video/vp8": /(?:)/,
  "video/vp9": /profile-id=0|^$/,
  "video/h264": /(?=.*packetization-mode=1)(?=.*profile-level-id=42e0)/i,
  "video/av1": /profile=0|^$/,
  "video/rtx": /(?:)/,
};

/**
 * The codecs of a kind that some focus carries, in the browser's order; empty when the
 * browser cannot say. Which of them is sent is the focus's answer to decide.
 *
 * A browser repeats every codec that it knows on each line of its offers: in a large call
 * that alone would make them too long for any focus.
 */
export function carriedCodecs(kind: "audio" | "video"): RTCRtpCodec[] {
  return carried(RTCRtpReceiver.getCapabilities(kind)?.codecs ?? []);
}

export function carried(codecs: RTCRtpCodec[]): RTCRtpCodec[] {
  const found = codecs.filter((codec) => PROFILES[codec.mimeType.toLowerCase()]?.test(codec.sdpFmtpLine ?? ""));
  return found.some((codec) => /opus|vp8/i.test(codec.mimeType)) ? found : [];
}
