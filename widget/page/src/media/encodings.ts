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

/** VP8 and its retransmission format, all that the focus carries; empty when the browser cannot say. */
export function pictureCodecs(): RTCRtpCodec[] {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  return codecs.some((codec) => codec.mimeType.toLowerCase() === "video/vp8")
    ? codecs.filter((codec) => ["video/vp8", "video/rtx"].includes(codec.mimeType.toLowerCase()))
    : [];
}
