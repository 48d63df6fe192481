// Configurations by the registry client of the official Azure service SDK, unmodified, over HTTPS.
// Standard input: the connection string of a policy. Standard output: what came of each step, one
// line of JSON.
'use strict';

const { Registry } = require('azure-iothub');

const out = {};

async function failure(promise) {
    try {
        await promise;
        return 'nothing';
    } catch (e) {
        return e.name;
    }
}

// What a twin comes to; the hub takes its time.
async function desired(registry, device, name) {
    for (;;) {
        const twin = (await registry.getTwin(device)).responseBody;
        if (twin.properties.desired[name] !== undefined) return twin.properties.desired[name];
        await new Promise((next) => setTimeout(next, 50));
    }
}

async function main() {
    let text = '';
    for await (const piece of process.stdin) text += piece;
    const registry = Registry.fromConnectionString(text.trim());
    await registry.create({ deviceId: 'c-1' });
    await registry.updateTwin('c-1', { tags: { site: 'Bonn' } }, '*');
    const made = (await registry.addConfiguration({
        id: 'water', targetCondition: "tags.site = 'Bonn'", priority: 5, labels: { app: 'x' },
        content: { deviceContent: { 'properties.desired.water': { temperature: 38 } } },
        metrics: { queries: { all: 'SELECT deviceId FROM devices' } },
    })).responseBody;
    out.made = [made.id, made.schemaVersion, made.priority, made.labels];
    out.desired = await desired(registry, 'c-1', 'water');
    out.again = await failure(registry.addConfiguration(made));
    made.labels = { app: 'y' };
    const changed = (await registry.updateConfiguration(made)).responseBody;
    out.changed = [changed.labels, changed.etag !== made.etag];
    out.late = await failure(registry.updateConfiguration(made));
    out.forced = (await registry.updateConfiguration(made, true)).responseBody.id;
    const read = (await registry.getConfiguration('water')).responseBody;
    out.read = [read.targetCondition, read.metrics.results, read.systemMetrics.results];
    out.listed = (await registry.getConfigurations()).responseBody.map((c) => c.id);
    await registry.applyConfigurationContentOnDevice('c-1', {
        deviceContent: { 'properties.desired.once': true } });
    out.once = await desired(registry, 'c-1', 'once');
    await registry.removeConfiguration('water');
    out.gone = await failure(registry.getConfiguration('water'));
    process.stdout.write(JSON.stringify(out) + '\n');
}

main().catch((e) => {
    process.stderr.write(JSON.stringify(out) + '\n' + e.stack + '\n');
    process.exit(1);
});
