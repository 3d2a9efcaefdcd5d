// Where the server's paths begin: "" or, where a proxy serves it below a prefix, such as "/kasparro". The server writes
// it into the page.
const PAGE_ROOT =
  typeof document === "undefined" ? undefined : document.documentElement.dataset.root;

export const ROOT = (PAGE_ROOT ?? "/").replace(/\/$/, "");
