/** The devices in a dialog over the call. */
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import type { LocalMedia } from "../media/local";
import { say } from "../strings";
import { DeviceChoice } from "./DeviceChoice";

interface Props {
  readonly open: boolean;
  readonly media: LocalMedia;
  onOpenChange(open: boolean): void;
}

export function DevicesDialog({ open, media, onOpenChange }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="veil" />
        <Dialog.Content className="dialog">
          <Dialog.Title>{say("device.title")}</Dialog.Title>
          <Dialog.Description>{say("device.lead")}</Dialog.Description>
          <DeviceChoice media={media} />
          <Dialog.Close className="dialog-close" aria-label={say("media.dismiss")}>
            <X aria-hidden="true" />
          </Dialog.Close>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
