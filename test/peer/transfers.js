// Import and export by the registry client of the official Azure service SDK, unmodified, over HTTPS.
// Standard input: the connection string of a policy, and the URI of a container with what opens it.
// Standard output: what came of each step, one line of JSON.
'use strict';

const { Registry } = require('azure-iothub');

const out = {};

async function ended(registry, job) {
    for (;;) {
        const now = await registry.getJob(job.jobId);
        if (['completed', 'failed', 'cancelled'].includes(now.status)) return now;
        await new Promise((next) => setTimeout(next, 50));
    }
}

async function main() {
    let text = '';
    for await (const piece of process.stdin) text += piece;
    const [connection, container] = text.trim().split('\n');
    const registry = Registry.fromConnectionString(connection);
    const devices = [];
    for (let i = 0; i < 50; i++) devices.push({ deviceId: `t-${i}` });
    await registry.addDevices(devices);
    const keys = (await registry.get('t-7')).responseBody.authentication.symmetricKey;
    let job = await registry.exportDevicesToBlob(container, false);
    out.made = [job.type, job.status];
    job = await ended(registry, job);
    out.exported = [job.status, job.failureReason];
    await registry.removeDevices((await registry.list()).responseBody, true);
    out.left = (await registry.list()).responseBody.length;
    job = await ended(registry, await registry.importDevicesFromBlob(container, container));
    out.imported = [job.status, job.failureReason];
    out.back = (await registry.list()).responseBody.length;
    const now = (await registry.get('t-7')).responseBody.authentication.symmetricKey;
    out.same = now.primaryKey === keys.primaryKey && now.secondaryKey === keys.secondaryKey;
    out.jobs = (await registry.listJobs()).responseBody.map((j) => j.type);
    process.stdout.write(JSON.stringify(out) + '\n');
}

main().catch((e) => {
    process.stderr.write(JSON.stringify(out) + '\n' + e.stack + '\n');
    process.exit(1);
});
