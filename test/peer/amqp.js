// A service on the official Azure SDKs, unmodified, over AMQP: sends a message to a device, waits
// for the feedback on it, reads telemetry. What to do comes as JSON on standard input, what came
// of it goes as lines of JSON to standard output.
'use strict';

const fs = require('fs');
const { Client } = require('azure-iothub');
const { Amqp, AmqpWs } = require('azure-iothub');
const { Message } = require('azure-iot-common');
const { EventHubConsumerClient, earliestEventPosition } = require('@azure/event-hubs');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));

function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}

function opened() {
    const client = Client.fromConnectionString(
        `HostName=${task.host};SharedAccessKeyName=${task.policy};SharedAccessKey=${task.key}`,
        task.ws ? AmqpWs : Amqp);
    return client.open().then(() => client);
}

const tasks = {
    async c2d() {
        const client = await opened();
        const message = new Message(task.body);
        message.messageId = task.id;
        message.ack = 'full';
        message.contentType = 'application/json';
        message.properties.add('colour', 'a b&c');
        await client.send(task.device, message);
        say({ sent: task.id });
        await client.close();
    },
    async feedback() {
        const client = await opened();
        const receiver = await new Promise((done, failed) => client.getFeedbackReceiver(
            (e, got) => (e ? failed(e) : done(got))));
        await new Promise((done) => receiver.on('message', async (got) => {
            const rows = JSON.parse(got.getData().toString());
            await receiver.complete(got);
            say({ feedback: rows });
            if (rows.some((r) => r.originalMessageId === task.id)) done();
        }));
        await client.close();
    },
    async events() {
        const client = new EventHubConsumerClient('$Default',
            `Endpoint=sb://${task.host}/;SharedAccessKeyName=${task.policy};` +
            `SharedAccessKey=${task.key};EntityPath=${task.path}`);
        const hub = await client.getEventHubProperties();
        say({ name: hub.name, partitions: hub.partitionIds });
        const partition = await client.getPartitionProperties('0');
        say({ last: partition.lastEnqueuedSequenceNumber, empty: partition.isEmpty });
        let seen = 0, failed;
        const enough = new Promise((done) => {
            client.subscribe({
                async processEvents(events) {
                    for (const e of events) {
                        say({
                            body: e.body, properties: e.properties, offset: e.offset,
                            system: e.systemProperties, sequence: e.sequenceNumber,
                            contentType: e.contentType, id: e.messageId,
                        });
                        if (++seen === task.count) done();
                    }
                },
                async processError(e) { failed = e; done(); },
            }, { startPosition: earliestEventPosition });
        });
        await enough;
        if (failed) throw failed;
        await client.close();
    },
};

tasks[task.do]().then(() => say({ end: true }), (e) => say({
    failed: e.name, code: e.code, text: String(e.message).slice(0, 500),
})).then(() => process.stdout.write('', () => process.exit(0)));
