import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server answers these files under /static/dashboard and the page itself under /dashboard; below a path prefix, it
// writes the prefix into the page, and scripts find each other by where they are.
export default defineConfig({
  base: "/static/dashboard/",
  experimental: {
    renderBuiltUrl: (_, { hostType }) => (hostType === "html" ? undefined : { relative: true }),
  },
  plugins: [react()],
  build: {
    outDir: "../../server/static/dashboard",
    emptyOutDir: true,
    assetsDir: "",
    // The Content-Security-Policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    license: { fileName: "LICENSES.md" },
  },
});
