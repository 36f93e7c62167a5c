use super::*;

fn batch(bodies: &[&str]) -> Batch {
    let records = bodies.iter().enumerate().map(|(n, body)| {
        serde_json::json!({"messageId": format!("m{n}"), "body": body, "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1"},
            "messageAttributes": {"plixo": {"stringValue": "{}", "dataType": "String"}}})
    });
    serde_json::from_value(serde_json::json!({ "Records": records.collect::<Vec<_>>() })).unwrap()
}

#[test]
fn one_bad_message_does_not_hold_up_its_batch() {
    let batch = batch(&["ok", "later", "never", "panic", "ok"]);
    let done = std::cell::RefCell::new(Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let response = runtime.block_on(run("f", &batch, |n, line| {
        let (batch, done) = (&batch, &done);
        async move {
            tokio::task::yield_now().await;
            let result = match batch.records[n].body.as_str() {
                "later" => Err(TaskError::Retryable("throttled".into())),
                "never" => Err(TaskError::Permanent("poison".into())),
                "panic" => panic!("poison"),
                _ => {
                    done.borrow_mut().push(n);
                    Ok(())
                }
            };
            (result, line)
        }
    }));
    assert_eq!(done.into_inner(), [0, 4]);
    let json = serde_json::to_value(&response).unwrap();
    let failed: Vec<_> = json["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["itemIdentifier"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["m1", "m2", "m3"]);
    assert_eq!(batch.records[0].attribute("plixo"), Some("{}"));
}
