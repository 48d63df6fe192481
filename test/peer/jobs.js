// The job client of the official Azure service SDK, unmodified, over HTTPS. Standard input: the
// connection string of a policy. Standard output: what came of each step, one line of JSON.
'use strict';

const { JobClient, Registry } = require('azure-iothub');

const out = {};

async function failure(promise) {
    try {
        await promise;
        return 'nothing';
    } catch (e) {
        return e.name;
    }
}

async function ended(client, id) {
    for (;;) {
        const job = (await client.getJob(id)).jobStatus;
        if (['completed', 'failed', 'cancelled'].includes(job.status)) return job;
        await new Promise((next) => setTimeout(next, 50));
    }
}

async function all(query) {
    const found = [];
    while (query.hasMoreResults) {
        const page = await query.next(query.continuationToken);
        found.push(page.result.map((j) => j.jobId).sort());
    }
    return found;
}

async function devices(registry) {
    await registry.addDevices([1, 2, 3].map((i) => ({ deviceId: `j-${i}` })));
    await registry.updateTwin('j-1', { tags: { site: 'Ulm' } }, '*');
    await registry.updateTwin('j-2', { tags: { site: 'Ulm' } }, '*');
}

async function twins(client, registry) {
    const patch = { etag: '*', tags: { done: true }, properties: { desired: { rate: 5 } } };
    const made = (await client.scheduleTwinUpdate('twins', "tags.site = 'Ulm'", patch, new Date(),
        300)).jobStatus;
    out.made = [made.jobId, made.type, made.queryCondition, made.maxExecutionTimeInSeconds];
    const job = await ended(client, 'twins');
    out.twins = [job.status, job.deviceJobStatistics];
    const twin = (await registry.getTwin('j-1')).responseBody;
    out.twin = [twin.tags, twin.properties.desired.rate];
    out.again = await failure(client.scheduleTwinUpdate('twins', '*', patch));
    out.wrong = await failure(client.scheduleTwinUpdate('wrong', 'tags.x =', patch));
}

async function methods(client) {
    await client.scheduleDeviceMethod('methods', "deviceId = 'j-3'",
        { methodName: 'reboot', payload: { now: true }, responseTimeoutInSeconds: 10 });
    const job = await ended(client, 'methods');
    out.methods = [job.status, job.cloudToDeviceMethod.methodName,
        job.deviceJobStatistics.failedCount];
}

async function lists(client) {
    const later = new Date(Date.now() + 3600 * 1000);
    await client.scheduleTwinUpdate('later', '*', { etag: '*', tags: { x: 1 } }, later, 60);
    out.waiting = await all(client.createQuery('scheduleUpdateTwin', 'scheduled'));
    out.cancelled = (await client.cancelJob('later')).jobStatus.status;
    out.pages = (await all(client.createQuery(undefined, undefined, 2))).map((p) => p.length);
    out.none = await failure(client.getJob('none'));
}

async function main() {
    let text = '';
    for await (const piece of process.stdin) text += piece;
    const registry = Registry.fromConnectionString(text.trim());
    const client = JobClient.fromConnectionString(text.trim());
    for (const step of [() => devices(registry), () => twins(client, registry),
        () => methods(client), () => lists(client)]) await step();
    process.stdout.write(JSON.stringify(out) + '\n');
}

main().catch((e) => {
    process.stderr.write(JSON.stringify(out) + '\n' + e.stack + '\n');
    process.exit(1);
});
