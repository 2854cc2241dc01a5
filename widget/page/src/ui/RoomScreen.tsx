/** One room, from the address to the call: log in if need be, the lobby, the visit. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Config, ToDevice } from "../config";
import { guestLogin, type Login } from "../matrix/login";
import { LocalMedia } from "../media/local";
import { say } from "../strings";
import { Elsewhere } from "./Elsewhere";
import { holdLogin } from "./hold";
import { Lobby } from "./Lobby";
import { LoginForm, serverName } from "./LoginForm";
import { Page, Waiting } from "./Page";
import { roomLabel } from "./roomLabel";
import { endVisit, startVisit, type MakeCall, type Visit } from "./visit";
import { VisitScreen } from "./VisitScreen";

interface Props {
  readonly config: Config;
  readonly room: string;
  /** Come in as a guest of the demo, at once. */
  readonly guest: boolean;
  readonly toDevice: ToDevice;
  readonly login: Login | undefined;
  readonly makeCall: MakeCall;
  onLogin(login: Login): void;
  onLogout(): void;
}

type Place = { readonly kind: "lobby"; readonly media: LocalMedia } | { readonly kind: "visit"; readonly visit: Visit };

export function RoomScreen(props: Props) {
  const { config, room, guest, toDevice, makeCall, onLogin, onLogout } = props;
  const { brand, homeserver } = config;
  const [separate, setSeparate] = useState<Login>();
  const login = separate ?? props.login;
  const [held, setHeld] = useState<boolean>();
  const [place, setPlace] = useState<Place>();
  const newest = useRef<Place>(undefined);
  newest.current = place;

  const join = useCallback(
    (media: LocalMedia, how: () => Promise<Login>) => {
      const visit = startVisit(makeCall, { config, login: how, room, toDevice, media });
      setPlace({ kind: "visit", visit });
    },
    [config, makeCall, room, toDevice],
  );
  const joinAsGuest = useCallback(() => {
    const media = new LocalMedia();
    void media.start();
    join(media, () => guestLogin(config));
  }, [config, join]);

  const hold = useCallback(() => void holdLogin().then(setHeld), []);
  const mayUse = separate !== undefined || held === true;
  useEffect(() => {
    if (!guest && login && !separate && held === undefined) hold();
  }, [guest, login, separate, held, hold]);

  // Into the demo at once; else into the lobby once there is a login of ours.
  useEffect(() => {
    if (newest.current) return;
    if (guest) return joinAsGuest();
    if (!login || !mayUse) return;
    const media = new LocalMedia();
    void media.start();
    setPlace({ kind: "lobby", media });
  }, [guest, login, mayUse, joinAsGuest, place]);

  useEffect(() => () => leave(newest.current), []);

  if (place?.kind === "visit") {
    const rejoin = () => (guest ? joinAsGuest() : setPlace(undefined));
    const logInAgain = () => {
      leave(place);
      setPlace(undefined);
      setSeparate(undefined);
      if (!separate && !guest) onLogout();
    };
    return <VisitScreen key={room} visit={place.visit} brand={brand} onRejoin={rejoin} onLogin={logInAgain} />;
  }
  if (guest) return <Waiting brand={brand} text={say("app.loading")} />;
  if (!login) {
    return (
      <Page brand={brand}>
        <section className="card">
          <h1>{say("login.title")}</h1>
          <p>{say("login.leadRoom", { server: serverName(homeserver), room: roomLabel("", room) ?? say("room.this") })}</p>
          <LoginForm homeserver={homeserver} onLogin={onLogin} />
        </section>
      </Page>
    );
  }
  if (held === false && !separate) {
    return <Elsewhere brand={brand} homeserver={homeserver} onAgain={hold} onSeparate={setSeparate} />;
  }
  if (place?.kind !== "lobby") return <Waiting brand={brand} text={say("app.loading")} />;
  const enter = () => join(place.media, () => Promise.resolve(login));
  return <Lobby brand={brand} room={room} userId={login.userId} media={place.media} onJoin={enter} />;
}

function leave(place: Place | undefined): void {
  if (place?.kind === "visit") endVisit(place.visit);
  else place?.media.stop();
}
