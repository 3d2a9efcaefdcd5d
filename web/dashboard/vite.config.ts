import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server serves these files under /static/dashboard and the page under /dashboard. With a path
// prefix it writes the prefix into the page, and scripts use relative paths.
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
    // The Content-Security-Policy does not allow inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    license: { fileName: "LICENSES.md" },
  },
});
