// ESLint for web/, tests/clients and server/pages/files. `npm run check` starts it in the
// repository's root.
import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import reactHooks from "eslint-plugin-react-hooks";
import globals from "globals";
import tseslint from "typescript-eslint";

const TYPED = ["web/dashboard/{src,tests}/**/*.{ts,tsx}", "web/dashboard/vite.config.ts"];

export default defineConfig(
  globalIgnores(["**/node_modules/", "**/*.generated.*", "**/__generated__/"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    files: ["**/*.js"],
    languageOptions: { globals: globals.node },
  },
  {
    files: ["web/dashboard/public/*.js", "server/pages/files/*.js"],
    languageOptions: {
      sourceType: "script",
      globals: {
        ...globals.browser,
        // Globals of scripts that the page loads before these.
        GraphiQL: "readonly",
        React: "readonly",
        ReactDOM: "readonly",
        SwaggerUIBundle: "readonly",
      },
    },
  },
  {
    files: TYPED,
    extends: [tseslint.configs.strictTypeChecked, reactHooks.configs.flat.recommended],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // React handlers often have the form `() => setOpen(true)`.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Numbers in templates do not need String().
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
);
