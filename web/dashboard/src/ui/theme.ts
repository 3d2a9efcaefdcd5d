// Dark or light: as the system has it, until the user chooses.
import { Store } from "../api/store";

export type Theme = "system" | "light" | "dark";

const KEY = "kasparro:theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

export const theme = new Store<Theme>(
  (document.documentElement.dataset.theme as Theme | undefined) ?? "system",
);

/** From system to light to dark and back. */
export function nextTheme(): void {
  const chosen = NEXT[theme.get()];
  if (chosen === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = chosen;
    localStorage.setItem(KEY, chosen);
  }
  theme.set(chosen);
}

/** Call `listener` when the colours change, by the button or by the system. */
export function onColours(listener: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const stop = theme.subscribe(listener);
  media.addEventListener("change", listener);
  return () => {
    stop();
    media.removeEventListener("change", listener);
  };
}
