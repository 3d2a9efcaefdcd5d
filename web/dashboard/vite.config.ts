import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server answers these files under /static/dashboard and the page itself under /dashboard.
export default defineConfig({
  base: "/static/dashboard/",
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
