/** After hanging up: back in, or home. */
import { say } from "../strings";
import { Page } from "./Page";

interface Props {
  readonly brand: string;
  readonly room: string | undefined;
  onRejoin(): void;
}

export function Left({ brand, room, onRejoin }: Props) {
  return (
    <Page brand={brand}>
      <section className="card problem">
        <h1>{say("left.title")}</h1>
        {room && <p>{room}</p>}
        <div className="choices">
          <button type="button" className="button" onClick={onRejoin} autoFocus>
            {say("left.rejoin")}
          </button>
          <a className="button quiet" href="#/">
            {say("left.home")}
          </a>
        </div>
      </section>
    </Page>
  );
}
