// One device on the official Azure SDKs, unmodified: registers with DPS, connects to the hub it
// is given, sends telemetry. What to do comes as JSON on standard input; what came of it goes as
// one JSON line to standard output. The SDKs choose their ports themselves (8883, 443).
'use strict';

const fs = require('fs');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const dpsMqtt = require('azure-iot-provisioning-device-mqtt');
const { X509Security } = require('azure-iot-security-x509');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { Client, Message } = require('azure-iot-device');
const hubMqtt = require('azure-iot-device-mqtt');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const { dps: DpsTransport, hub: HubTransport } = {
    'mqtt': { dps: dpsMqtt.Mqtt, hub: hubMqtt.Mqtt },
    'mqtt-ws': { dps: dpsMqtt.MqttWs, hub: hubMqtt.MqttWs },
}[task.transport || 'mqtt'];
const x509 = task.cert && {
    cert: fs.readFileSync(task.cert, 'utf8'),
    key: fs.readFileSync(task.key, 'utf8'),
};

function provision() {
    const security = x509 ? new X509Security(task.id, x509)
        : new SymmetricKeySecurityClient(task.id, task.sasKey);
    const client = ProvisioningDeviceClient.create(task.host, task.scope, new DpsTransport(), security);
    if (task.payload) client.setProvisioningPayload(task.payload);
    return client.register();
}

async function talk(hub, deviceId) {
    const base = `HostName=${hub};DeviceId=${deviceId};`;
    const client = Client.fromConnectionString(
        base + (x509 ? 'x509=true' : `SharedAccessKey=${task.sasKey}`), HubTransport);
    if (x509) await client.setOptions(x509);
    await client.open();
    for (const body of task.messages) {
        const message = new Message(JSON.stringify(body));
        message.contentType = 'application/json';
        message.contentEncoding = 'utf-8';
        message.messageId = `m-${body.n}`;
        message.properties.add('alert', 'a b&c/d');
        await client.sendEvent(message);
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
            result.substatus = got.substatus;
            if (got.payload) result.payload = got.payload;
        }
        if (task.messages) await talk(result.hub || task.host, result.deviceId || task.id);
        result.ok = true;
    } catch (e) {
        result.ok = false;
        result.error = e.name;
        result.text = String(e.message).slice(0, 500);
    }
    process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0));
}

main();
