// The registry client of the official Azure service SDK, unmodified, over HTTPS. Standard input: the
// connection string of a policy. Standard output: what came of each step, one line of JSON.
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

// Without a callback the SDK goes on only where it is told.
async function pages(registry, text, size) {
    const query = registry.createQuery(text, size);
    const all = [];
    while (query.hasMoreResults) all.push((await query.next(query.continuationToken)).result);
    return all;
}

async function twins(registry, text, size) {
    const query = registry.createQuery(text, size);
    const all = [];
    while (query.hasMoreResults) {
        all.push(...(await query.nextAsTwin(query.continuationToken)).result);
    }
    return all;
}

async function identities(registry) {
    const made = (await registry.create({ deviceId: 'one', status: 'enabled' })).responseBody;
    out.created = [made.deviceId, made.status, made.authentication.type];
    out.again = await failure(registry.create({ deviceId: 'one' }));
    made.status = 'disabled';
    out.updated = (await registry.update(made)).responseBody.status;
    out.read = (await registry.get('one')).responseBody.status;
    out.listed = (await registry.list()).responseBody.map((d) => d.deviceId);
    await registry.delete('one');
    out.gone = await failure(registry.get('one'));
}

async function bulk(registry) {
    const devices = [];
    for (let i = 0; i < 100; i++) devices.push({ deviceId: `b-${String(i).padStart(3, '0')}` });
    out.added = (await registry.addDevices(devices)).responseBody;
    out.addedAgain = await failure(registry.addDevices(devices.slice(0, 2)));
    const before = (await registry.get('b-001')).responseBody.authentication;
    const some = (await registry.list()).responseBody.filter((d) => d.deviceId < 'b-003');
    for (const d of some) d.status = 'disabled';
    out.changed = (await registry.updateDevices(some, false)).responseBody.isSuccessful;
    out.changedLate = await failure(registry.updateDevices(some, false));
    out.forced = (await registry.updateDevices(some, true)).responseBody.isSuccessful;
    const after = (await registry.get('b-001')).responseBody.authentication;
    out.keysKept = before.symmetricKey.primaryKey === after.symmetricKey.primaryKey;
    out.statistics = (await registry.getRegistryStatistics()).responseBody;
}

async function queries(registry) {
    const twin = (await registry.getTwin('b-001')).responseBody;
    await twin.update({ tags: { site: 'Ulm' }, properties: { desired: { rate: 5 } } });
    await registry.updateTwin('b-002', { tags: { site: 'Ulm' } }, '*');
    out.tagged = (await twins(registry, "SELECT * FROM devices WHERE tags.site = 'Ulm'"))
        .map((t) => [t.deviceId, t.tags.site, t.properties.desired.rate || 0]);
    out.pages = (await pages(registry, 'SELECT deviceId FROM devices', 40)).map((p) => p.length);
    out.count = (await pages(registry,
        'SELECT status, COUNT() AS n FROM devices GROUP BY status'))[0];
    out.wrong = await failure(registry.createQuery('SELECT * FROM nowhere').next());
}

async function modules(registry) {
    await registry.addModule({ deviceId: 'b-001', moduleId: 'm' });
    out.modules = (await registry.getModulesOnDevice('b-001')).responseBody.map((m) => m.moduleId);
    out.moduleTwins = (await twins(registry, "SELECT * FROM devices.modules"))
        .map((t) => [t.deviceId, t.moduleId]);
    await registry.removeModule('b-001', 'm');
}

async function removal(registry) {
    const all = (await registry.list()).responseBody;
    out.removedLate = await failure(registry.removeDevices(
        [{ deviceId: 'b-005', etag: 'MTIz' }], false));
    out.removed = (await registry.removeDevices(all.slice(0, 100), true)).responseBody.isSuccessful;
    out.left = (await registry.list()).responseBody.length;
}

async function main() {
    let text = '';
    for await (const piece of process.stdin) text += piece;
    const registry = Registry.fromConnectionString(text.trim());
    for (const step of [identities, bulk, queries, modules, removal]) await step(registry);
    process.stdout.write(JSON.stringify(out) + '\n');
}

main().catch((e) => {
    process.stderr.write(JSON.stringify(out) + '\n' + e.stack + '\n');
    process.exit(1);
});
