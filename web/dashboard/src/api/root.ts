// The prefix of the server's paths: "", or the prefix of a proxy such as "/kasparro". The server
// writes it into the page.
const PAGE_ROOT =
  typeof document === "undefined" ? undefined : document.documentElement.dataset.root;

export const ROOT = (PAGE_ROOT ?? "/").replace(/\/$/, "");
