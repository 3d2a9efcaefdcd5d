// Follows one operation with the real client of a protocol: `node follow.js ws|sse URL '{"query": …}'`.
// Prints a line of JSON for each thing that the client tells. A lost connection is taken up again where it was lost:
// a payload's `after` is the cursor of the last update, as README.md advises.
import { createClient as createSseClient } from 'graphql-sse'
import { createClient as createWsClient } from 'graphql-ws'
import WebSocket from 'ws'

const [kind, url, text] = process.argv.slice(2)
const payload = JSON.parse(text)
const patience = { retryAttempts: 1000 }
const retryWait = () => new Promise((resolve) => setTimeout(resolve, 50))

function tell(what) {
  process.stdout.write(JSON.stringify(what) + '\n')
}

function cursorOf(result) {
  return Object.values(result.data ?? {})[0]?.cursor
}

const client =
  kind === 'ws'
    ? createWsClient({
        url: url.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        ...patience,
        retryWait,
        shouldRetry: () => true,
        keepAlive: 200,
        on: {
          connected: () => tell({ connected: true }),
          closed: (event) => tell({ closed: event.code }),
          pong: (received) => received && tell({ pong: true }),
        },
      })
    : createSseClient({ url, ...patience, retry: retryWait, onMessage: ({ event }) => tell({ event }) })

client.subscribe(payload, {
  next: (result) => {
    const after = cursorOf(result)
    if (after) payload.variables = { ...payload.variables, after }
    tell({ next: result })
  },
  error: (error) => {
    tell({ error: Array.isArray(error) ? error : String(error) })
    client.dispose()
  },
  complete: () => {
    tell({ complete: true })
    client.dispose()
  },
})
