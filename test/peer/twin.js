// One device on the official Azure SDK, unmodified, that lives on its twin. Its first line on
// standard input says who it is; every other is a command. What came of each, and every change of
// desired properties it hears of, is a line on standard output. The SDK chooses its port itself.
'use strict';

const fs = require('fs');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { run, say } = require('./runner');

let client, twin;

// Functions and private members aside.
function plain(properties) {
    return JSON.parse(JSON.stringify(properties));
}

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
    async twin() {
        twin = await client.getTwin();
        return {
            desired: plain(twin.properties.desired),
            reported: plain(twin.properties.reported),
        };
    },
    async listen() {
        twin.on('properties.desired', (delta) => say({ desired: delta }));
        return {};
    },
    async report(task) {
        await new Promise((done, failed) => {
            twin.properties.reported.update(task.patch, (e) => (e ? failed(e) : done()));
        });
        return {};
    },
    async close() {
        await client.close();
        return {};
    },
};

run(commands);
