// Where the server's paths begin: "" or, where a proxy serves it below a prefix, such as "/kasparro". The server writes
// it into the page.
export const ROOT = (globalThis.document?.documentElement.dataset.root ?? "/").replace(/\/$/, "");
