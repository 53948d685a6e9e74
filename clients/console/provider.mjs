// A real OpenID provider for the tests (npm: oidc-provider), on loopback, with one person who signs in without a password.
// `node provider.mjs LIFE_S`: prints its issuer; access tokens live LIFE_S seconds and are renewed.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const LIFE_S = Number(process.argv[2] ?? 3600);
const key = (kind, form, alg) => ({ ...generateKeyPairSync(kind, form).privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg });
const server = createServer();
await new Promise((told) => server.listen(0, "127.0.0.1", told));
const issuer = `http://127.0.0.1:${server.address().port}`;
const resource = { scope: "signal:read dispatch:write", audience: "gridsignal", accessTokenFormat: "jwt", accessTokenTTL: LIFE_S, jwt: { sign: { alg: process.argv[3] ?? "RS256" } } };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "console",
      application_type: "native", // loopback at any port (RFC 8252)
      token_endpoint_auth_method: "none",
      redirect_uris: ["http://127.0.0.1/console"],
      grant_types: ["authorization_code", "refresh_token"],
    },
  ],
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-256" }, "ES256")] },
  cookies: { keys: [randomUUID()] },
  clientBasedCORS: () => true,
  features: {
    devInteractions: { enabled: false }, // its page has fonts from elsewhere
    resourceIndicators: { enabled: true, defaultResource: () => "urn:gridsignal", useGrantedResource: () => true, getResourceServerInfo: () => resource },
  },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  extraTokenClaims: () => ({ role: "operator", org: "tso-north" }),
  issueRefreshToken: () => true,
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
});

async function granted(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") return { login: { accountId: "control-room" } };
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope("openid");
  grant.addResourceScope("urn:gridsignal", resource.scope);
  return { consent: { grantId: await grant.save() } };
}

const pass = provider.callback();
server.on("request", async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return pass(request, response);
  if (request.method === "POST") return provider.interactionFinished(request, response, await granted(request, response), { mergeWithLastSubmission: true });
  const { prompt } = await provider.interactionDetails(request, response);
  const button = prompt.name === "login" ? "I am control-room" : "Allow it";
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(`<!doctype html><html lang="en"><title>Provider</title><main><h1>Provider</h1><form method="post"><button>${button}</button></form></main></html>`);
});
console.log(issuer);
