/** The page as a whole: settings, address and login decide which screen there is. */
import { Tooltip } from "radix-ui";
import { useEffect, useState } from "react";
import { ConfigError, type Config } from "../config";
import { endLogin, forgetLogin, saveLogin, savedLogin, type Login } from "../matrix/login";
import { say } from "../strings";
import { explain } from "./explain";
import { Front } from "./Front";
import { Waiting } from "./Page";
import { ProblemPage } from "./ProblemPage";
import { RoomScreen } from "./RoomScreen";
import { useRoute } from "./useBrowser";
import type { MakeCall } from "./visit";

interface Props {
  readonly loadConfig: () => Promise<Config>;
  readonly makeCall: MakeCall;
}

/** Until the settings say otherwise. */
const BRAND = "Weir";

type Settings = { readonly config: Config } | { readonly error: unknown } | undefined;

export function App({ loadConfig, makeCall }: Props) {
  const [settings, setSettings] = useState<Settings>();
  const [tries, setTries] = useState(0);
  useEffect(() => {
    loadConfig().then(
      (config) => setSettings({ config }),
      (error: unknown) => setSettings({ error }),
    );
  }, [loadConfig, tries]);
  if (!settings) return <Waiting brand={BRAND} text={say("app.loading")} />;
  if ("error" in settings) {
    const { error } = settings;
    const detail = error instanceof Error ? error.message : String(error);
    const body = say(error instanceof ConfigError ? "problem.config.body" : "problem.configMissing.body", { detail });
    const act = { kind: "retry" as const, label: say("problem.again") };
    const what = { title: say("problem.config.title"), body, act };
    return <ProblemPage brand={BRAND} explanation={what} home={false} onAct={() => setTries(tries + 1)} />;
  }
  return (
    <Tooltip.Provider delayDuration={500}>
      <Screens config={settings.config} makeCall={makeCall} />
    </Tooltip.Provider>
  );
}

function Screens({ config, makeCall }: { readonly config: Config; readonly makeCall: MakeCall }) {
  const route = useRoute();
  const [login, setLogin] = useState<Login | undefined>(() => savedLogin(config.homeserver));
  const keep = (fresh: Login) => {
    saveLogin(config.homeserver, fresh);
    setLogin(fresh);
  };
  const forget = () => {
    if (login) void endLogin(config.homeserver, login);
    forgetLogin();
    setLogin(undefined);
  };
  useEffect(() => {
    if (route.room === undefined) document.title = config.brand;
  }, [route.room, config.brand]);
  if (route.room === undefined) return <Front config={config} login={login} onLogin={keep} onLogout={forget} />;
  if (typeof RTCPeerConnection === "undefined") {
    return <ProblemPage brand={config.brand} explanation={explain({ kind: "browser" }, route.room, say)} />;
  }
  const guest = route.demo && config.demo;
  return (
    <RoomScreen
      key={`${route.room} ${guest}`}
      config={config}
      room={route.room}
      guest={guest}
      toDevice={route.toDevice ?? config.toDevice}
      login={login}
      makeCall={makeCall}
      onLogin={keep}
      onLogout={forget}
    />
  );
}
