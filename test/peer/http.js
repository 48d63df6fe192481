// One device on the official Azure SDKs over HTTPS, unmodified: registers with DPS, sends one
// message and a batch, settles what it is sent by what it says, uploads a file. What to do comes as
// JSON on standard input; what came of it goes as one JSON line to standard output.
'use strict';

const fs = require('fs');
const { Readable } = require('stream');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http: DpsHttp } = require('azure-iot-provisioning-device-http');
const { X509Security } = require('azure-iot-security-x509');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { Client, Message } = require('azure-iot-device');
const { Http: HubHttp } = require('azure-iot-device-http');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const x509 = task.cert && {
    cert: fs.readFileSync(task.cert, 'utf8'),
    key: fs.readFileSync(task.key, 'utf8'),
};

function provision() {
    const security = x509 ? new X509Security(task.id, x509)
        : new SymmetricKeySecurityClient(task.id, task.sasKey);
    const client = ProvisioningDeviceClient.create(task.host, task.scope, new DpsHttp(), security);
    if (task.payload) client.setProvisioningPayload(task.payload);
    return client.register();
}

function message(text) {
    const m = new Message(text);
    m.properties.add('alert', 'a b&c/d');
    return m;
}

async function send(client) {
    const one = message(task.send);
    one.contentType = 'application/json';
    one.contentEncoding = 'utf-8';
    one.messageId = 'm-0';
    await client.sendEvent(one);
    await client.sendEventBatch([message('{"n": 1}'), message('{"n": 2}')]);
}

// Each message says what shall become of it; "abandon" comes a second time.
function receive(client, count) {
    const seen = [];
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`only ${JSON.stringify(seen)}`)), 40000);
        client.on('error', reject);
        client.on('message', async (m) => {
            const text = m.getData().toString();
            const how = text === 'abandon' && seen.some((s) => s.text === text) ? 'complete' : text;
            seen.push({ text, id: m.messageId, to: m.to, alert: m.properties.getValue('iothub-app-alert') });
            try {
                await client[how](m);
            } catch (e) {
                reject(e);
            }
            if (seen.length < count) return;
            clearTimeout(timer);
            resolve(seen);
        });
    });
}

async function talk(hub, deviceId, result) {
    const client = Client.fromConnectionString(`HostName=${hub};DeviceId=${deviceId};`
        + (x509 ? 'x509=true' : `SharedAccessKey=${task.sasKey}`), HubHttp);
    await client.setOptions({ ...x509, http: { receivePolicy: { interval: 1 } } });
    await client.open();
    if (task.send) await send(client);
    if (task.receive) result.received = await receive(client, task.receive);
    if (task.upload) {
        const bytes = Buffer.from(task.upload.text);
        await client.uploadToBlob(task.upload.name, Readable.from([bytes]), bytes.length);
    }
    await client.close();
}

async function main() {
    const result = {};
    try {
        if (task.scope) {
            const got = await provision();
            result.hub = got.assignedHub;
            result.deviceId = got.deviceId;
            result.status = got.status;
        }
        if (task.send || task.receive || task.upload) {
            await talk(result.hub || task.host, result.deviceId || task.id, result);
        }
        result.ok = true;
    } catch (e) {
        result.ok = false;
        result.error = e.name;
        const inner = e.innerError;
        result.text = (String(e.message) + (inner ? `: ${inner.responseBody || inner.message}` : ''))
            .slice(0, 600);
    }
    process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0));
}

main();
