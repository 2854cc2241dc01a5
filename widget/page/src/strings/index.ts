/** The language of this browser, and `say` in it. To add a language: a file like `de.ts`, and a line here. */
import { de } from "./de";
import { en } from "./en";
import { chooseLanguage, speaker, type Texts } from "./say";

const TEXTS = { en, de } satisfies Record<string, Texts>;

export const language = chooseLanguage(navigator.languages, Object.keys(TEXTS) as (keyof typeof TEXTS)[], "en");

export const say = speaker(language, TEXTS[language]);

export type { Key, Words } from "./say";
