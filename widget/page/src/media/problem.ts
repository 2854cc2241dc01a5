/** What can be wrong with a camera, a microphone or a shared screen, in words that have translations. */

export type MediaProblem = "denied" | "missing" | "busy" | "insecure" | "unknown";

/** The reason behind an error of getUserMedia or getDisplayMedia (W3C Media Capture §10.2.5). */
export function problemOf(error: unknown): MediaProblem {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError" || name === "PermissionDeniedError") return "denied";
  if (name === "NotFoundError" || name === "DevicesNotFoundError" || name === "OverconstrainedError") return "missing";
  if (name === "NotReadableError" || name === "AbortError" || name === "TrackStartError") return "busy";
  if (name === "TypeError" && !navigator.mediaDevices) return "insecure";
  return "unknown";
}
