// A host on `@modelcontextprotocol/client` 2 or `@modelcontextprotocol/sdk` 1. Takes orders as lines of JSON, and
// answers each with one.
//
//   node.mjs new|old REVISION BINARY

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [make, revision, binary] = process.argv.slice(2);
const isStateless = revision === '2026-07-28';

// The packages are where `install` has put them.
const require = createRequire(process.env.NODE_PACKAGES + '/');
const load = async (name) => await import(pathToFileURL(require.resolve(name)));
const paths = make === 'new'
    ? ['@modelcontextprotocol/client', '@modelcontextprotocol/client/stdio']
    : ['@modelcontextprotocol/sdk/client/index.js', '@modelcontextprotocol/sdk/client/stdio.js'];
const { Client } = await load(paths[0]);
const { StdioClientTransport } = await load(paths[1]);

const options = isStateless ? { versionNegotiation: { mode: 'auto' } } : {};
const client = new Client({ name: 'test', version: '0' }, options);
const transport = new StdioClientTransport({ command: binary, args: ['mcp'], env: process.env });

// The packages offer the newest revision only.
const send = transport.send.bind(transport);
transport.send = (message, ...rest) => {
    if (message.method === 'initialize') {
        message.params.protocolVersion = revision;
    }
    return send(message, ...rest);
};
let spoken = revision;
const start = transport.start.bind(transport);
transport.start = async () => {
    await start();
    const take = transport.onmessage;
    transport.onmessage = (message, ...rest) => {
        spoken = message.result?.protocolVersion ?? spoken;
        take?.(message, ...rest);
    };
};

let updated;
const update = new Promise((resolve) => { updated = resolve; });
const updateMethod = 'notifications/resources/updated';
client.fallbackNotificationHandler = async ({ method }) => {
    if (method === updateMethod) {
        updated();
    }
};
await client.connect(transport);
if (isStateless) {
    spoken = client.getNegotiatedProtocolVersion();
}

const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');

async function call(order, options) {
    const request = { name: order.tool, arguments: order.arguments };
    return make === 'new'
        ? await client.callTool(request, options)
        : await client.callTool(request, undefined, options);
}

async function obey(order) {
    switch (order.do) {
        case 'revision':
            return spoken;
        case 'tools':
            return (await client.listTools()).tools.map((tool) => tool.name);
        case 'call': {
            let progress = 0;
            const result = await call(order, { onprogress: () => { progress += 1; } });
            return {
                failed: Boolean(result.isError),
                text: result.content[0].text,
                structured: result.structuredContent ?? null,
                progress,
            };
        }
        case 'read':
            return (await client.readResource({ uri: 'mesh://inbox' })).contents[0].text;
        case 'cancel': {
            const signal = AbortSignal.timeout(200);
            await call(order, { signal }).catch(() => {});
            return 'cancelled';
        }
        case 'await_update':
            if (isStateless) {
                client.setNotificationHandler(updateMethod, async () => updated());
                await client.listen({ resourceSubscriptions: ['mesh://inbox'] });
            } else {
                await client.subscribeResource({ uri: 'mesh://inbox' });
            }
            say('listening');
            await update;
            return 'told';
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    say(await obey(JSON.parse(line)));
}
await client.close();
