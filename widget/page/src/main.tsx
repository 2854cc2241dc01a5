/** Starts the page: the one place where the interface and the call meet. */
import { createRoot } from "react-dom/client";
import { Call } from "./call/call";
import { loadConfig } from "./config";
import { language } from "./strings";
import { App } from "./ui/App";
import "./styles/index.css";

document.documentElement.lang = language;
const root = document.getElementById("root");
if (!root) throw new Error("index.html has the element that the page is drawn into");
createRoot(root).render(<App loadConfig={loadConfig} makeCall={(options) => new Call(options)} />);
