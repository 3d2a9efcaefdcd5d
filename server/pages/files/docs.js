"use strict";

// No validator badge: it would show this document to a third party. The token typed here is not kept.
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
