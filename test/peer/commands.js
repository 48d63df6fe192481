// One device on the official Azure SDK, unmodified, that takes commands: direct methods and
// cloud-to-device messages. Its first line on standard input says who it is; every other is a
// command. What came of each, every method called and every message is a line on standard output.
'use strict';

const fs = require('fs');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { run, say } = require('./runner');

let client, last;

const commands = {
    async open(task) {
        const x509 = task.cert && {
            cert: fs.readFileSync(task.cert, 'utf8'),
            key: fs.readFileSync(task.key, 'utf8'),
        };
        client = Client.fromConnectionString(
            `HostName=${task.host};DeviceId=${task.id};` +
            (x509 ? 'x509=true' : `SharedAccessKey=${task.sasKey}`), Mqtt);
        if (x509) await client.setOptions(x509);
        await client.open();
        return {};
    },
    // Answers every call of that name with its payload; the SUBSCRIBE is not waited for.
    async method(task) {
        client.onDeviceMethod(task.name, (request, response) => {
            say({ method: request.methodName, payload: request.payload });
            response.send(task.status, request.payload, (e) => { if (e) say({ unsent: e.name }); });
        });
        return {};
    },
    async messages() {
        client.on('message', (message) => {
            last = message;
            say({
                message: message.data.toString(),
                messageId: message.messageId, correlationId: message.correlationId,
                contentType: message.contentType, to: message.to,
                properties: message.properties.propertyList
                    .map((p) => [p.key, p.value]).sort(),
            });
        });
        return {};
    },
    async complete() {
        await client.complete(last);
        return {};
    },
    async close() {
        await client.close();
        return {};
    },
};

run(commands);
