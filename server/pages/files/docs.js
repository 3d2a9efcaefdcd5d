"use strict";

// No validator badge, because it would send this document to a third party. The page does not store
// the token.
SwaggerUIBundle({
  url: `${document.documentElement.dataset.root}openapi.json`,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: true,
});
