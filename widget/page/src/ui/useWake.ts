/** Keeps the screen awake while the page is in view: nobody touches a phone that they look at. */
import { useEffect } from "react";

export function useWake(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | undefined;
    let over = false;
    const ask = async () => {
      if (document.visibilityState !== "visible") return;
      // Refused when the battery is low; then the screen sleeps, and no harm is done.
      const given = await navigator.wakeLock?.request("screen").catch(() => undefined);
      if (over) void given?.release();
      else lock = given;
    };
    void ask();
    document.addEventListener("visibilitychange", ask);
    return () => {
      over = true;
      document.removeEventListener("visibilitychange", ask);
      void lock?.release();
    };
  }, []);
}
