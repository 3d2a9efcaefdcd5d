// The theme: that of the system, until the user selects one.
import { Store } from "../api/store";

export type Theme = "system" | "light" | "dark";

const KEY = "kasparro:theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

export const theme = new Store<Theme>(
  (document.documentElement.dataset.theme as Theme | undefined) ?? "system",
);

/** Switch from system to light to dark and back. */
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

/** Call `listener` when the user or the system changes the theme. */
export function onColoursChange(listener: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const stop = theme.subscribe(listener);
  media.addEventListener("change", listener);
  return () => {
    stop();
    media.removeEventListener("change", listener);
  };
}
